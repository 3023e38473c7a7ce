#include "ui/panels/ask_expert.h"

#include <QCheckBox>
#include <QGridLayout>
#include <QLabel>
#include <QVBoxLayout>

#include "ui/theme/fields.h"

namespace canopy::ui {
namespace {

template <typename Enum>
void choice(ComboField* field, Enum value, const QString& text) {
    field->addItem(text, int(value));
}

template <typename Enum>
Enum chosen(const ComboField* field) {
    return Enum(field->currentData().toInt());
}

void choose(ComboField* field, int value) {
    field->setCurrentIndex(std::max(0, field->findData(value)));
}

} // namespace

template <typename Field>
Field* AskExpert::add(QGridLayout* grid, Field* field, const QString& label, const char* objectName,
                      const QString& help) {
    auto* box = new QWidget;
    auto* layout = new QVBoxLayout(box);
    dresser::setMargins(layout, 0, 0, 0, 0, 2);
    auto* caption = new QLabel(label);
    caption->setProperty("look", "caption");
    caption->setBuddy(field);
    layout->addWidget(caption);
    layout->addWidget(field);
    field->setObjectName(QLatin1String(objectName));
    field->setAccessibleName(label);
    field->setToolTip(help);
    grid->addWidget(box, m_count / 3, m_count % 3);
    ++m_count;
    if constexpr (std::is_base_of_v<QComboBox, Field>)
        connect(field, &QComboBox::currentIndexChanged, this, [this] {
            if (!m_loading)
                Q_EMIT changed();
        });
    else
        connect(field, &Field::valueChanged, this, [this] {
            if (!m_loading)
                Q_EMIT changed();
        });
    return field;
}

AskExpert::AskExpert(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("askExpert"));
    auto* grid = new QGridLayout(this);
    dresser::setMargins(grid, 0, 0, 4, 0, 8);
    for (int column = 0; column < 3; ++column)
        grid->setColumnStretch(column, 1);
    const auto share = [](double low) {
        auto* field = new RealField;
        field->setRange(low, 1);
        field->setSingleStep(0.05);
        field->setDecimals(2);
        return field;
    };
    m_semantic = add(grid, share(0), tr("Semantic threshold"), "semanticThreshold",
                     tr("Cells of two frames may be linked from this cosine similarity on. Published: 0.9."));
    m_spatial = add(grid, share(0), tr("Spatial threshold"), "spatialThreshold",
                    tr("1 links only the same cell; 0.8 up to a fifth of the picture away. Published: 0.8."));
    m_candidates = add(grid, share(0.05), tr("Candidates a frame"), "candidateShare",
                       tr("Share of each frame's cells that may be kept at all. Published: 0.5."));
    m_seed = add(grid, new NumberField, tr("Seed"), "askSeed", tr("Of the choices by chance."));
    m_seed->setRange(0, 2'000'000'000);
    m_newlines = add(grid, new ComboField, tr("Newline tokens"), "newlinePolicy",
                     tr("Which line ends stay where the model puts one after each row of cells."));
    choice(m_newlines, NewlinePolicy::Auto, tr("As published"));
    choice(m_newlines, NewlinePolicy::AllRows, tr("After all rows"));
    choice(m_newlines, NewlinePolicy::NonEmptyRows, tr("After kept rows"));
    choice(m_newlines, NewlinePolicy::PerFrame, tr("One a frame"));
    choice(m_newlines, NewlinePolicy::None, tr("None"));
    m_accounting = add(grid, new ComboField, tr("Budget counts"), "budgetAccounting",
                       tr("Cells, as the papers do, or all tokens given to the language model."));
    choice(m_accounting, BudgetAccounting::Cells, tr("Cells"));
    choice(m_accounting, BudgetAccounting::AllTokens, tr("All tokens"));
    m_positions = add(grid, new ComboField, tr("Positions"), "positionPolicy",
                      tr("Positions of kept tokens: counted anew, or those they had unpruned."));
    choice(m_positions, PositionPolicy::Auto, tr("As published"));
    choice(m_positions, PositionPolicy::Repacked, tr("Counted anew"));
    choice(m_positions, PositionPolicy::Original, tr("As unpruned"));
    m_sampling =
        add(grid, new ComboField, tr("Frames spread by"), "frameSampling",
            tr("Evenly by number, or evenly in time. They differ in videos of variable frame rate."));
    choice(m_sampling, FrameSampling::Index, tr("Number"));
    choice(m_sampling, FrameSampling::Time, tr("Time"));
    m_pooling = add(grid, new ComboField, tr("Pooling"), "tokenPooling",
                    tr("How patches become cells. The model's own is the one it was trained with."));
    choice(m_pooling, TokenPooling::Auto, tr("The model's"));
    choice(m_pooling, TokenPooling::Bilinear, tr("Bilinear"));
    choice(m_pooling, TokenPooling::Average, tr("Average"));
    m_timeInstruction = add(grid, new ComboField, tr("Time instruction"), "timeInstruction",
                            tr("A sentence before the question that names the length and the frame times."));
    m_timeInstruction->addItem(tr("The model's"), -1);
    m_timeInstruction->addItem(tr("On"), 1);
    m_timeInstruction->addItem(tr("Off"), 0);
    m_length = add(grid, new NumberField, tr("Longest answer"), "maxNewTokens", tr("Tokens of the answer."));
    m_length->setRange(1, 4096);
    m_precision = add(grid, new ComboField, tr("Precision"), "askPrecision", tr("Arithmetic of the model."));
    choice(m_precision, Precision::Auto, tr("Automatic"));
    choice(m_precision, Precision::Float32, tr("32 bit"));
    choice(m_precision, Precision::BFloat16, tr("bfloat16"));
    m_threads = add(grid, new NumberField, tr("Threads"), "askThreads", tr("Of the CPU."));
    m_threads->setRange(0, 1024);
    m_threads->setSpecialValueText(tr("All"));
    m_memory = add(grid, new RealField, tr("Memory budget"), "askMemory",
                   tr("GB; the question is refused above it."));
    m_memory->setRange(0, 4096);
    m_memory->setDecimals(1);
    m_memory->setSpecialValueText(tr("All free"));
    m_followUp = new QCheckBox(tr("Follow-up"));
    m_followUp->setObjectName(QStringLiteral("followUp"));
    m_followUp->setAccessibleName(tr("Ask as a follow-up"));
    m_followUp->setToolTip(tr("The model also reads the earlier questions and answers on this video."));
    connect(m_followUp, &QCheckBox::toggled, this, &AskExpert::changed);
    grid->addWidget(m_followUp, m_count / 3, m_count % 3, Qt::AlignBottom);
    setRequest(AskRequest());
}

bool AskExpert::isFollowUp() const {
    return m_followUp->isChecked();
}

void AskExpert::apply(AskRequest& request) const {
    auto& tokens = request.tokens;
    tokens.semanticThreshold = m_semantic->value();
    tokens.spatialThreshold = m_spatial->value();
    tokens.candidateShare = m_candidates->value();
    tokens.seed = std::uint64_t(m_seed->value());
    tokens.newlines = chosen<NewlinePolicy>(m_newlines);
    tokens.accounting = chosen<BudgetAccounting>(m_accounting);
    tokens.positions = chosen<PositionPolicy>(m_positions);
    request.sampling = chosen<FrameSampling>(m_sampling);
    request.pooling = chosen<TokenPooling>(m_pooling);
    const int time = m_timeInstruction->currentData().toInt();
    request.timeInstruction = time < 0 ? std::nullopt : std::optional<bool>(time == 1);
    request.maxNewTokens = m_length->value();
    request.precision = chosen<Precision>(m_precision);
    request.threads = m_threads->value();
    request.memoryBudgetGb = m_memory->value();
}

void AskExpert::setRequest(const AskRequest& request) {
    m_loading = true;
    m_semantic->setValue(request.tokens.semanticThreshold);
    m_spatial->setValue(request.tokens.spatialThreshold);
    m_candidates->setValue(request.tokens.candidateShare);
    m_seed->setValue(int(std::min<std::uint64_t>(request.tokens.seed, 2'000'000'000)));
    choose(m_newlines, int(request.tokens.newlines));
    choose(m_accounting, int(request.tokens.accounting));
    choose(m_positions, int(request.tokens.positions));
    choose(m_sampling, int(request.sampling));
    choose(m_pooling, int(request.pooling));
    choose(m_timeInstruction, request.timeInstruction ? int(*request.timeInstruction) : -1);
    m_length->setValue(request.maxNewTokens);
    choose(m_precision, int(request.precision));
    m_threads->setValue(request.threads);
    m_memory->setValue(request.memoryBudgetGb);
    m_loading = false;
}

void AskExpert::setMode(TokenMode mode) {
    const auto& info = tokenModeInfo(mode);
    const bool forest = info.kind == TokenModeKind::Forest;
    m_semantic->setEnabled(forest);
    m_spatial->setEnabled(forest);
    m_candidates->setEnabled(forest || mode == TokenMode::GPrune);
    m_seed->setEnabled(info.kind == TokenModeKind::Control);
}

} // namespace canopy::ui
