#include "ui/compare/pair_figures.h"

#include <QThreadPool>

#include "ui/compare/tell_home.h"

namespace canopy::ui {
PairFigures::PairFigures(QObject* parent)
    : QObject(parent) {}

PairFigures::~PairFigures() {
    cancel();
}

void PairFigures::cancel() {
    if (m_stop)
        m_stop->request_stop();
    m_stop.reset();
}

void PairFigures::compare(const QString& a, const QString& b) {
    cancel();
    m_stop.emplace();
    QThreadPool::globalInstance()->start(
        [self = QPointer(this), stop = m_stop->get_token(), a = a.toStdString(), b = b.toStdString()] {
            media::CompareOptions options;
            options.stop = stop;
            options.progress = [&](int done, int frames) {
                tell(self, stop, [done, frames](PairFigures& me) { Q_EMIT me.progress(done, frames); });
            };
            auto figures = media::compareFiles(a, b, options);
            if (!figures) {
                const QString sentence = QString::fromStdString(figures.error().message);
                return tell(self, stop, [sentence](PairFigures& me) {
                    me.m_stop.reset();
                    Q_EMIT me.failed(sentence);
                });
            }
            auto shared = std::make_shared<const media::FileComparison>(std::move(*figures));
            tell(self, stop, [shared](PairFigures& me) {
                me.m_stop.reset();
                Q_EMIT me.compared(shared);
            });
        });
}

} // namespace canopy::ui
