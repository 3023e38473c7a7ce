#pragma once

#include <stop_token>

#include <QCoreApplication>
#include <QPointer>

namespace canopy::ui {

/// From a thread of the pool: runs on the GUI thread, unless the object is gone or the request was replaced.
template <typename Object, typename Call>
void tell(const QPointer<Object>& self, const std::stop_token& stop, Call call) {
    QMetaObject::invokeMethod(qApp, [self, stop, call] {
        if (self && !stop.stop_requested())
            call(*self);
    });
}

} // namespace canopy::ui
