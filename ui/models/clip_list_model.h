#pragma once

#include <QAbstractListModel>
#include <QImage>

#include "core/project/clip_library.h"

namespace canopy::ui {

/// The library, newest first. Drags give the files.
class ClipListModel : public QAbstractListModel {
    Q_OBJECT
public:
    enum Roles {
        IdRole = Qt::UserRole + 1, ///< qlonglong
        TitleRole,                 ///< first words of the prompt
        SecondsRole,               ///< "2.1 s"
        FileRole,                  ///< QString
        StarredRole,
        ThumbnailRole, ///< QImage
    };
    using QAbstractListModel::QAbstractListModel;

    void setClips(std::vector<Clip> clips);
    const Clip* clip(int row) const;
    int rowOf(const QString& file) const; ///< -1 = not there

    int rowCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    Qt::ItemFlags flags(const QModelIndex& index) const override;
    QStringList mimeTypes() const override;
    QMimeData* mimeData(const QModelIndexList& indexes) const override;

private:
    std::vector<Clip> m_clips;
    mutable std::map<std::int64_t, QImage> m_images; ///< made at first sight
};

} // namespace canopy::ui
