#pragma once

#include <QAbstractListModel>
#include <QImage>

#include "core/studio/studio_snapshot.h"

namespace canopy::ui {

QImage toImage(const Thumbnail& thumbnail);
/// "0:17", "2:03", "1:05:00"; "0:00" for less than half a second.
QString clockText(double seconds);

/// The job list over snapshots. Row order and identity follow the job ids, so that selection survives
/// updates.
class JobListModel : public QAbstractListModel {
    Q_OBJECT
public:
    enum Roles {
        IdRole = Qt::UserRole + 1, ///< qlonglong
        TitleRole,                 ///< also DisplayRole
        WordsRole,                 ///< state in words, without the progress
        ProgressRole,              ///< 0..1; negative = no bar
        PercentRole,               ///< "38 %" by time; empty when not known
        TimeRole,                  ///< remaining, or how long it took; empty when not known
        StateRole,                 ///< int of JobState
        ThumbnailRole,             ///< QImage, may be null
        SentenceRole,              ///< why it failed or stopped; empty otherwise
        CanRetryRole,
        CanCancelRole,
        CanRemoveRole,
    };
    using QAbstractListModel::QAbstractListModel;

    /// Finished jobs stay until they are cleared; a failed one keeps its place.
    void setJobs(std::vector<JobRow> jobs);
    const JobRow* job(int row) const;
    int rowOf(JobId id) const; ///< -1 = not there

    int rowCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;

private:
    struct Entry {
        JobRow row;
        QImage image;
        std::shared_ptr<const Thumbnail> imageOf;
    };
    std::vector<Entry> m_entries;
};

} // namespace canopy::ui
