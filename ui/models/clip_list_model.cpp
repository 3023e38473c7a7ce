#include "ui/models/clip_list_model.h"

#include <algorithm>

#include <QLocale>
#include <QMimeData>
#include <QUrl>

#include "ui/models/job_list_model.h"

namespace canopy::ui {
namespace {

bool showsSame(const Clip& a, const Clip& b) {
    return a.id == b.id && a.file == b.file && a.fileMillis == b.fileMillis && a.fileBytes == b.fileBytes;
}

} // namespace

void ClipListModel::setClips(std::vector<Clip> clips) {
    const bool same = std::equal(clips.begin(), clips.end(), m_clips.begin(), m_clips.end(), showsSame);
    if (same) { // only stars can differ: selection and scroll position stay
        m_clips = std::move(clips);
        if (!m_clips.empty())
            Q_EMIT dataChanged(index(0), index(int(m_clips.size()) - 1));
        return;
    }
    beginResetModel();
    m_images.clear();
    m_clips = std::move(clips);
    endResetModel();
}

const Clip* ClipListModel::clip(int row) const {
    return row >= 0 && row < int(m_clips.size()) ? &m_clips[size_t(row)] : nullptr;
}

int ClipListModel::rowOf(const QString& file) const {
    const std::filesystem::path path = file.toStdString();
    const auto found =
        std::find_if(m_clips.begin(), m_clips.end(), [&](const Clip& c) { return c.file == path; });
    return found == m_clips.end() ? -1 : int(found - m_clips.begin());
}

int ClipListModel::rowCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : int(m_clips.size());
}

QVariant ClipListModel::data(const QModelIndex& index, int role) const {
    const Clip* clip = index.isValid() && index.model() == this ? this->clip(index.row()) : nullptr;
    if (!clip)
        return {};
    const auto& request = clip->request;
    const double seconds = request.fps > 0 ? double(request.frames) / request.fps : 0;
    switch (role) {
    case Qt::DisplayRole:
    case TitleRole:
        return request.prompt.empty() ? QString::fromStdString(clip->file.stem().string())
                                      : QString::fromStdString(request.prompt).simplified();
    case Qt::ToolTipRole:
        return tr("%1\nSeed %2, %3×%4, %5 frames, %6")
            .arg(QString::fromStdString(request.prompt))
            .arg(request.seed)
            .arg(request.width)
            .arg(request.height)
            .arg(request.frames)
            .arg(QString::fromStdString(clip->modelLabel));
    case Qt::AccessibleTextRole:
        return tr("%1, %2").arg(data(index, TitleRole).toString(), data(index, SecondsRole).toString());
    case IdRole:
        return qlonglong(clip->id);
    case SecondsRole:
        return tr("%1 s").arg(QLocale().toString(seconds, 'f', 1));
    case FileRole:
        return QString::fromStdString(clip->file.string());
    case StarredRole:
        return clip->starred;
    case ThumbnailRole: {
        auto [it, isNew] = m_images.try_emplace(clip->id);
        if (isNew)
            it->second = toImage(clip->thumbnail);
        return it->second;
    }
    default:
        return {};
    }
}

Qt::ItemFlags ClipListModel::flags(const QModelIndex& index) const {
    return index.isValid() ? QAbstractListModel::flags(index) | Qt::ItemIsDragEnabled : Qt::NoItemFlags;
}

QStringList ClipListModel::mimeTypes() const {
    return {QStringLiteral("text/uri-list")};
}

QMimeData* ClipListModel::mimeData(const QModelIndexList& indexes) const {
    QList<QUrl> urls;
    for (const auto& index : indexes)
        if (const Clip* c = clip(index.row()))
            urls << QUrl::fromLocalFile(QString::fromStdString(c->file.string()));
    auto* data = new QMimeData;
    data->setUrls(urls);
    return data;
}

} // namespace canopy::ui
