#include "ui/shell/run_exporter.h"

#include <QApplication>
#include <QFileDialog>
#include <QFileInfo>
#include <QMenu>
#include <QPointer>
#include <QThreadPool>

#include "ui/panels/run_export.h"
#include "ui/panels/viewer_panel.h"
#include "ui/viewer/video_view.h"

namespace canopy::ui {

RunExporter::RunExporter(TokenLayer* layer, ViewerPanel* viewer, NoteBar* notes, QMenu* menu, QWidget* window)
    : QObject(window)
    , m_layer(layer)
    , m_viewer(viewer)
    , m_notes(notes)
    , m_window(window)
    , m_stop(std::make_shared<std::atomic<bool>>(false)) {
    const auto add = [&](const QString& text, const char* objectName, Kind kind) {
        menu->addAction(text, this, [this, kind] { choose(kind); })->setObjectName(QLatin1String(objectName));
    };
    add(tr("Run as JSON…"), "exportJson", Kind::Json);
    add(tr("Run as CSV…"), "exportCsv", Kind::Csv);
    add(tr("Picture with tokens as PNG…"), "exportPng", Kind::Png);
    add(tr("Video with tokens as MP4…"), "exportMp4", Kind::Video);
}

RunExporter::~RunExporter() {
    *m_stop = true;
}

void RunExporter::choose(Kind kind) {
    if (m_layer->scene().isEmpty())
        return;
    static const char* const endings[] = {"json", "csv", "png", "mp4"};
    const QString ending = QLatin1String(endings[int(kind)]);
    const QFileInfo video(m_viewer->clipFile());
    const QString proposed =
        QStringLiteral("%1/%2-tokens.%3").arg(video.path(), video.completeBaseName(), ending);
    QString file = QFileDialog::getSaveFileName(m_window, tr("Export"), proposed,
                                                QStringLiteral("%1 (*.%2)").arg(ending.toUpper(), ending));
    if (file.isEmpty())
        return;
    if (QFileInfo(file).suffix().isEmpty())
        file += u'.' + ending;
    write(kind, file);
}

void RunExporter::told(const QString& sentence) {
    m_notes->tell({sentence, {}, {}});
}

void RunExporter::write(Kind kind, const QString& file) {
    OverlayExport overlay = m_layer->exportValue();
    const QImage picture = m_viewer->view().image();
    QPointer<RunExporter> self(this);
    if (kind == Kind::Video)
        m_notes->tell({tr("The video with its tokens is being written."), tr("Stop"),
                       [stop = m_stop] { *stop = true; }});
    *m_stop = false;
    QThreadPool::globalInstance()->start([self, kind, overlay = std::move(overlay), picture, stop = m_stop,
                                          target = std::filesystem::path(file.toStdString()),
                                          video = std::filesystem::path(m_viewer->clipFile().toStdString())] {
        Result<std::filesystem::path> result = target;
        const auto take = [&](Result<void> written) {
            if (!written)
                result = written.error();
        };
        switch (kind) {
        case Kind::Json:
            take(exportRunJson(overlay.scene.run(), target));
            break;
        case Kind::Csv:
            take(exportRunCsv(overlay.scene.run(), target));
            break;
        case Kind::Png:
            take(exportOverlayPng(picture, overlay, target));
            break;
        case Kind::Video:
            result = exportOverlayVideo(video, overlay, target, *stop);
            break;
        }
        const QString sentence = result ? tr("Exported to %1").arg(QString::fromStdString(result->string()))
                                        : QString::fromStdString(result.error().message);
        QMetaObject::invokeMethod(qApp, [self, sentence] {
            if (self)
                self->told(sentence);
        });
    });
}

} // namespace canopy::ui
