#pragma once

#include <functional>
#include <memory>

#include <QLocalServer>
#include <QLockFile>
#include <QObject>
#include <QString>

namespace canopy {

/// One window per user and data folder. The lock file decides; only its owner listens on the local socket, so
/// that it is never stolen from a living window.
class SingleInstance : public QObject {
    Q_OBJECT
public:
    /// `folder` is made if it is missing.
    explicit SingleInstance(const QString& folder, QObject* parent = nullptr);

    /// True: this is the first, and raiseRequested() tells of later ones. False: the first one was asked to
    /// come to the front.
    bool claim();

Q_SIGNALS:
    void raiseRequested();

private:
    QString m_socket;
    QLockFile m_lock;
    QLocalServer m_server;
};

} // namespace canopy
