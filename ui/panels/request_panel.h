#pragma once

#include <optional>
#include <vector>

#include <QWidget>

#include "core/formats/model_config.h"
#include "core/studio/studio.h"
#include "ui/models/prompt_history.h"
#include "ui/theme/dresser.h"

class QFormLayout;
class QLabel;
class QLineEdit;
class QPlainTextEdit;
class QPushButton;
class QToolButton;
class QVBoxLayout;

namespace canopy::ui {

class BlocksBox;
class ComboField;
class LengthField;
class RequestExpert;
class SpeedBox;

/// The form: everything of a GenerationRequest, a first few in Simple, all in Expert; the same values
/// underneath. Knows no studio: it is told models and checks, and tells what was asked.
class RequestPanel : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit RequestPanel(QWidget* parent = nullptr);

    void setModels(const std::vector<ModelRecord>& models);
    /// Devices as the worker names them ("cpu", "cuda: NVIDIA ..."); the choice shows with more than one.
    void setDevices(const std::vector<std::string>& devices);
    void setExpert(bool expert);
    void setDefaultThreads(int threads); ///< 0 = all

    GenerationRequest request() const;
    /// Takes every field over ("Reload settings"). False when its model is not among the known ones: the rest
    /// is taken, and the problem line says so.
    bool setRequest(const GenerationRequest& request);
    const ModelRecord* model() const;
    bool takesImage() const; ///< the chosen model can fix a first image
    bool takesVideo() const; ///< it can go on from a video
    void setImage(const QString& file);
    /// The clip goes on from the end of a video that has so many latent frames: as much of it as leaves at
    /// least half of the clip to be made.
    void setVideo(const QString& file, int latentFrames);
    BlocksBox& blocks() { return *m_blocks; }
    void setPrompt(const QString& prompt);

    void showCheck(const StartCheck& check);
    /// A refusal of a command; stays until something is changed.
    void showRefusal(const QString& sentence);
    void setWaitingText(const QString& text); ///< the line under Generate

    /// After an acknowledged press: history, and another seed unless it is locked.
    void acknowledge(const GenerationRequest& request);
    void setHistory(const QStringList& prompts);
    QStringList history() const { return m_history.prompts(); }
    bool seedLocked() const;
    void setSeedLocked(bool locked);
    void walkHistory(int direction);
    void focusPrompt();
    QPushButton* generateButton() const { return m_generate; }
    SpeedBox& speed() { return *m_speed; }
    QToolButton* generateMenuButton() const { return m_generateMenu; }
    void setTheme(const Theme& theme) override;

Q_SIGNALS:
    void changed();
    void generateRequested();
    /// Somebody chose a video to begin with; setVideo() is the answer.
    void videoChosen(const QString& file);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void build();
    void applyModel(bool keepValues);
    void updateVisibility();
    void edited();
    void showHistoryMenu();
    void chooseStart();
    void setSeed(std::uint64_t seed);
    void showLock();

    Theme m_theme;
    bool m_hasTheme = false;
    std::vector<ModelRecord> m_models;
    PromptHistory m_history;
    bool m_expert = false;
    bool m_loading = false;   ///< fields are being set by us: no changed()
    GenerationRequest m_base; ///< fields that have no widget (noise scheme, fps, kernel set)
    QString m_image;
    int m_givenFrames = 0;  ///< latent frames that m_image, a video, fills; 0 = a picture
    QString m_unknownModel; ///< id that reloaded settings ask for and that is not here

    QVBoxLayout* m_form = nullptr;
    QToolButton* m_historyButton = nullptr;
    QPlainTextEdit* m_prompt = nullptr;
    QPushButton* m_imageButton = nullptr;
    QToolButton* m_imageClear = nullptr;
    QLabel* m_startNote = nullptr;
    QPushButton* m_negativeButton = nullptr;
    QPlainTextEdit* m_negative = nullptr;
    LengthField* m_length = nullptr;
    ComboField* m_size = nullptr;
    QLineEdit* m_seed = nullptr;
    QToolButton* m_dice = nullptr;
    QToolButton* m_lock = nullptr;
    QToolButton* m_increment = nullptr;
    ComboField* m_model = nullptr;
    QLabel* m_modelNote = nullptr;
    RequestExpert* m_expertFields = nullptr;
    BlocksBox* m_blocks = nullptr;
    SpeedBox* m_speed = nullptr;
    QLabel* m_plan = nullptr;
    QLabel* m_problems = nullptr;
    QPushButton* m_generate = nullptr;
    QToolButton* m_generateMenu = nullptr;
    QLabel* m_waiting = nullptr;
};

} // namespace canopy::ui
