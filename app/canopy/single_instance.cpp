#include "app/canopy/single_instance.h"

#include <QCryptographicHash>
#include <QDir>
#include <QLocalSocket>

#include "core/base/log.h"

namespace canopy {
namespace {

QString socketName(const QString& folder) {
    // A socket's path is limited to 107 bytes, so it lies in the runtime folder under a short name.
    QString runtime = qEnvironmentVariable("XDG_RUNTIME_DIR");
    if (runtime.isEmpty() || !QDir(runtime).exists())
        runtime = folder;
    const QByteArray hash =
        QCryptographicHash::hash(folder.toUtf8(), QCryptographicHash::Sha256).toHex().left(12);
    return runtime + QStringLiteral("/canopy-%1").arg(QString::fromLatin1(hash));
}

QString made(const QString& folder) {
    QDir().mkpath(folder);
    return QDir(folder).absolutePath();
}

} // namespace

SingleInstance::SingleInstance(const QString& folder, QObject* parent)
    : QObject(parent)
    , m_socket(socketName(made(folder)))
    , m_lock(folder + QStringLiteral("/window.lock")) {
    m_lock.setStaleLockTime(0); // stale only when its process is gone
    m_server.setSocketOptions(QLocalServer::UserAccessOption);
    connect(&m_server, &QLocalServer::newConnection, this, [this] {
        while (auto* socket = m_server.nextPendingConnection()) {
            connect(socket, &QLocalSocket::disconnected, socket, &QObject::deleteLater);
            socket->disconnectFromServer();
            Q_EMIT raiseRequested();
        }
    });
}

bool SingleInstance::claim() {
    if (m_lock.tryLock(0)) {
        QLocalServer::removeServer(m_socket); // of a window that is gone: the lock proves it
        if (!m_server.listen(m_socket))
            logWarning("ui", "A second start cannot bring this window to the front: " +
                                 m_server.errorString().toStdString());
        return true;
    }
    QLocalSocket socket;
    socket.connectToServer(m_socket);
    socket.waitForConnected(2000);
    return false;
}

} // namespace canopy
