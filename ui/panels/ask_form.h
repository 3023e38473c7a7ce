#pragma once

#include <vector>

#include <QWidget>

#include "core/formats/qa_model.h"
#include "core/job/ask_request.h"
#include "ui/panels/keep_readout.h"
#include "ui/theme/dresser.h"

class QLabel;
class QLineEdit;
class QPlainTextEdit;
class QPushButton;
class QToolButton;

namespace canopy::ui {

class AskExpert;
class ComboField;
class FlowLayout;
class KeepSlider;
class NumberField;

/// The lower part of the chat: *Tokens kept*, how tokens are chosen, and the question. Knows no studio.
class AskForm : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit AskForm(QWidget* parent = nullptr);

    void setModels(const std::vector<QaModelRecord>& models);
    const QaModelRecord* model() const; ///< chosen; null = none known
    void setDevices(const std::vector<std::string>& devices);
    void setDefaultThreads(int threads);
    void setExpert(bool expert);
    void setVideo(const QString& file);
    QString video() const { return m_video; }

    /// Everything but the history of a follow-up. At 100 % the mode is All.
    AskRequest request() const;
    bool isFollowUp() const;
    void setRequest(const AskRequest& request);
    double keep() const;
    void setKeep(double keep);
    TokenMode mode() const; ///< of the field, also at 100 %

    void setReadout(const KeepReadout& readout);
    void setReadoutText(const QString& text);
    QString readoutText() const;
    void setStops(std::vector<double> stops);
    /// One sentence below the slider: why the picture does not follow it; empty = it does.
    void setSliderNote(const QString& text);
    void showProblems(const QStringList& sentences);
    void showWarning(const QString& sentence); ///< e.g. which part of a long video is not looked at
    void focusQuestion();
    QWidget* focusTarget() const;
    QPushButton* askButton() const { return m_ask; }
    void setTheme(const Theme& theme) override;

Q_SIGNALS:
    void changed();
    void keepChanged(double keep);
    void askRequested();
    void attachRequested();

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    QWidget* buildChoices();
    QWidget* buildKeep();
    QWidget* buildQuestion();
    void fillModes();
    void edited();
    void showSuggestions();
    void showModeHelp();
    void fitQuestion();

    Theme m_theme;
    bool m_hasTheme = false;
    bool m_loading = false;
    bool m_expert = false;
    QString m_video;
    std::vector<QaModelRecord> m_models;

    ComboField* m_model;
    ComboField* m_mode;
    NumberField* m_frames;
    ComboField* m_device;
    QWidget* m_deviceBox;
    QLabel* m_modeHelp;
    QToolButton* m_more;
    QWidget* m_expertArea;
    AskExpert* m_expertFields;
    QLabel* m_keepText;
    QLabel* m_readout;
    KeepSlider* m_slider;
    QLabel* m_sliderNote;
    QToolButton* m_attach;
    QPlainTextEdit* m_question;
    QPushButton* m_ask;
    QToolButton* m_choicesButton;
    QLineEdit* m_options;
    QWidget* m_chips;
    FlowLayout* m_chipsLayout;
    QLabel* m_problems;
    QLabel* m_warning;
};

} // namespace canopy::ui
