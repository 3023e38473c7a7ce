#pragma once

#include <QWidget>

#include "ui/panels/ask_groups.h"

class QGridLayout;
class QLabel;
class QPushButton;

namespace canopy::ui {

/// The controls at one budget beside the method: whether choosing by a forest earned anything over choosing
/// by chance.
class SanityTable : public QWidget {
    Q_OBJECT
public:
    explicit SanityTable(QWidget* parent = nullptr);
    /// `of`: the pruned run that the controls are held against.
    void setGroup(const AskGroup& group, const AskView& of);

Q_SIGNALS:
    void askRequested(const canopy::AskRequest& request);

private:
    void runMissing();

    AskRequest m_request;
    std::vector<TokenMode> m_missing;
    QWidget* m_table;
    QGridLayout* m_grid;
    QPushButton* m_run;
    QLabel* m_verdict;
};

} // namespace canopy::ui
