#include "ui/models/job_list_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace canopy::ui {

QImage toImage(const Thumbnail& thumbnail) {
    const std::size_t stride = std::size_t(thumbnail.width) * 3;
    if (thumbnail.width <= 0 || thumbnail.height <= 0 ||
        thumbnail.rgb.size() != stride * std::size_t(thumbnail.height))
        return {};
    QImage image(thumbnail.width, thumbnail.height, QImage::Format_RGB888);
    for (int y = 0; y < thumbnail.height; ++y)
        std::memcpy(image.scanLine(y), thumbnail.rgb.data() + std::size_t(y) * stride, stride);
    return image;
}

QString clockText(double seconds) {
    const auto total = std::max<qint64>(0, qint64(std::lround(seconds)));
    const auto two = [](qint64 v) { return QStringLiteral("%1").arg(v, 2, 10, QLatin1Char('0')); };
    if (total >= 3600)
        return QStringLiteral("%1:%2:%3").arg(total / 3600).arg(two(total / 60 % 60), two(total % 60));
    return QStringLiteral("%1:%2").arg(total / 60).arg(two(total % 60));
}

namespace {

bool showsSame(const JobRow& a, const JobRow& b) {
    const auto progress = [](const JobRow& r) {
        return r.progress ? std::tuple(std::lround(r.progress->fraction * 1000),
                                       std::lround(r.progress->remainingSeconds), r.progress->stopping)
                          : std::tuple(-1L, -1L, false);
    };
    return a.title == b.title && a.words == b.words && a.record.state == b.record.state &&
           a.record.sentence == b.record.sentence && a.record.resultFile == b.record.resultFile &&
           a.thumbnail == b.thumbnail && a.canCancel == b.canCancel && a.canRetry == b.canRetry &&
           a.canRemove == b.canRemove && progress(a) == progress(b);
}

} // namespace

void JobListModel::setJobs(std::vector<JobRow> jobs) {
    // Rows that went.
    for (int i = int(m_entries.size()) - 1; i >= 0; --i) {
        const auto gone = std::none_of(jobs.begin(), jobs.end(), [&](const JobRow& j) {
            return j.record.id == m_entries[size_t(i)].row.record.id;
        });
        if (gone) {
            beginRemoveRows({}, i, i);
            m_entries.erase(m_entries.begin() + i);
            endRemoveRows();
        }
    }
    for (int i = 0; i < int(jobs.size()); ++i) {
        JobRow& job = jobs[size_t(i)];
        const int at = rowOf(job.record.id);
        if (at < 0) {
            beginInsertRows({}, i, i);
            m_entries.insert(m_entries.begin() + i, Entry{});
            m_entries[size_t(i)].row.record.id = job.record.id;
            endInsertRows();
        } else if (at != i) { // rows before i are settled, so it can only come from behind
            beginMoveRows({}, at, at, {}, i);
            std::rotate(m_entries.begin() + i, m_entries.begin() + at, m_entries.begin() + at + 1);
            endMoveRows();
        }
        Entry& entry = m_entries[size_t(i)];
        if (at >= 0 && showsSame(entry.row, job)) {
            entry.row = std::move(job);
            continue;
        }
        if (job.thumbnail != entry.imageOf) {
            entry.imageOf = job.thumbnail;
            entry.image = job.thumbnail ? toImage(*job.thumbnail) : QImage();
        }
        entry.row = std::move(job);
        Q_EMIT dataChanged(index(i), index(i));
    }
}

const JobRow* JobListModel::job(int row) const {
    return row >= 0 && row < int(m_entries.size()) ? &m_entries[size_t(row)].row : nullptr;
}

int JobListModel::rowOf(JobId id) const {
    const auto found = std::find_if(m_entries.begin(), m_entries.end(),
                                    [&](const Entry& e) { return e.row.record.id == id; });
    return found == m_entries.end() ? -1 : int(found - m_entries.begin());
}

int JobListModel::rowCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : int(m_entries.size());
}

QVariant JobListModel::data(const QModelIndex& index, int role) const {
    const JobRow* row = index.isValid() && index.model() == this ? job(index.row()) : nullptr;
    if (!row)
        return {};
    const auto& record = row->record;
    const auto& progress = row->progress;
    switch (role) {
    case Qt::DisplayRole:
    case TitleRole:
        return QString::fromStdString(row->title);
    case Qt::ToolTipRole:
        return QString::fromStdString(record.clip() ? record.clip()->prompt : record.question()->question);
    case Qt::AccessibleTextRole: {
        QString text =
            tr("%1, %2").arg(QString::fromStdString(row->title), QString::fromStdString(row->words));
        if (const auto percent = data(index, PercentRole).toString(); !percent.isEmpty())
            text += tr(", %1").arg(percent);
        return text;
    }
    case IdRole:
        return qlonglong(record.id);
    case WordsRole:
        return QString::fromStdString(row->words);
    case ProgressRole:
        return progress ? progress->fraction : -1.0;
    case PercentRole:
        return progress && progress->fraction > 0 ? tr("%1 %").arg(int(progress->fraction * 100)) : QString();
    case TimeRole:
        if (progress)
            return progress->remainingSeconds > 0 ? clockText(progress->remainingSeconds) : QString();
        if (record.state == JobState::Done && record.startedMillis > 0 &&
            record.endedMillis > record.startedMillis)
            return clockText(double(record.endedMillis - record.startedMillis) / 1000);
        return QString();
    case StateRole:
        return int(record.state);
    case ThumbnailRole:
        return m_entries[size_t(index.row())].image;
    case SentenceRole:
        return QString::fromStdString(record.sentence);
    case CanRetryRole:
        return row->canRetry;
    case CanCancelRole:
        return row->canCancel;
    case CanRemoveRole:
        return row->canRemove;
    default:
        return {};
    }
}

} // namespace canopy::ui
