#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QSignalSpy>
#include <QTest>
#include <QToolButton>

#include "ui/panels/request_panel.h"
#include "ui/theme/fields.h"

using namespace canopy;
using namespace canopy::ui;

namespace {

ModelRecord model(const char* id, ModelFamily family) {
    ModelRecord m;
    m.id = id;
    m.family = family;
    m.root = "/models/x";
    m.defaults.label = id;
    m.defaults.fps = 16;
    m.defaults.steps = 16;
    m.defaults.guidance = 4;
    m.defaults.shift = 5;
    m.defaults.sizes = {{320, 192}, {256, 256}};
    m.defaults.framesDefault = 33;
    return m;
}

GenerationRequest fullRequest() {
    GenerationRequest r;
    r.prompt = "a red fox\non the snow";
    r.negativePrompt = "blur";
    r.modelId = "df";
    r.modelPath = "/models/x";
    r.imagePath = "/pictures/fox.png";
    r.width = 336;
    r.height = 208;
    r.frames = 21;
    r.fps = 16;
    r.steps = 7;
    r.guidance = 4.5;
    r.shift = 3.25;
    r.seed = 9223372036854775807ull;
    r.sampler = Sampler::Euler;
    r.timeGrid = TimeGrid::Original;
    r.precision = Precision::Float32;
    r.threads = 2;
    r.vaeTiling = true;
    r.memoryBudgetGb = 2.5;
    r.noiseScheme = "torch-cpu-1";
    r.kernelSet = "torch";
    return r;
}

} // namespace

class FormTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() {
        m_panel = std::make_unique<RequestPanel>();
        m_panel->setModels({model("df", ModelFamily::SkyReelsDf), model("t2v", ModelFamily::WanT2v)});
        m_panel->resize(300, 900);
        m_panel->show();
    }

    void defaultsComeFromTheModel() {
        const auto r = m_panel->request();
        QCOMPARE(r.modelId, std::string("df"));
        QCOMPARE(r.width, 320);
        QCOMPARE(r.height, 192);
        QCOMPARE(r.frames, 33);
        QCOMPARE(r.fps, 16);
        QCOMPARE(r.steps, 16);
        QCOMPARE(r.guidance, 4.0);
        QCOMPARE(r.shift, 5.0);
    }

    void requestSurvivesTheForm() {
        const auto wanted = fullRequest();
        for (bool expert : {false, true}) { // the same values underneath
            m_panel->setExpert(expert);
            QVERIFY(m_panel->setRequest(wanted));
            QVERIFY(m_panel->request() == wanted);
            QVERIFY(m_panel->seedLocked());
        }
    }

    void unknownModelIsKeptAndTold() {
        auto wanted = fullRequest();
        wanted.modelId = "elsewhere";
        QVERIFY(!m_panel->setRequest(wanted));
        QCOMPARE(m_panel->request().modelId, std::string("elsewhere"));
        // When its folder is added, the request fits again.
        m_panel->setModels(
            {model("df", ModelFamily::SkyReelsDf), model("elsewhere", ModelFamily::SkyReelsDf)});
        QCOMPARE(m_panel->model()->id, std::string("elsewhere"));
        QCOMPARE(m_panel->request().frames, wanted.frames);
        QCOMPARE(m_panel->request().prompt, wanted.prompt);
    }

    void imageOnlyWhereTheModelTakesOne() {
        m_panel->setImage(QStringLiteral("/a.png"));
        QVERIFY(child<QPushButton>("firstImageButton")->isVisible());
        QCOMPARE(m_panel->request().imagePath, std::string("/a.png"));
        auto* field = child<ComboField>("modelField");
        field->setCurrentIndex(1);
        Q_EMIT field->activated(1);
        QVERIFY(!child<QPushButton>("firstImageButton")->isVisible());
        QCOMPARE(m_panel->request().imagePath, std::string());
    }

    void lengthStaysOnTheGrid() {
        auto* length = child<LengthField>("lengthField");
        length->setValue(34);
        QCOMPARE(length->value(), 33);
        length->setFocus();
        length->selectAll();
        QTest::keyClicks(length, QStringLiteral("1.3"));
        QTest::keyClick(length, Qt::Key_Return);
        QCOMPARE(length->value(), 21); // 20.8 frames
        length->selectAll();
        QTest::keyClicks(length, QStringLiteral("14 f"));
        QTest::keyClick(length, Qt::Key_Return);
        QCOMPARE(length->value(), 13);
        QTest::keyClick(length, Qt::Key_Up);
        QCOMPARE(length->value(), 17);
    }

    void seedMovesOnlyWhenItMay() {
        auto* seed = child<QLineEdit>("seedField");
        seed->setText(QStringLiteral("41"));
        QTest::mouseClick(child<QToolButton>("seedIncrement"), Qt::LeftButton);
        QCOMPARE(seed->text(), QStringLiteral("42"));
        m_panel->setSeedLocked(true);
        m_panel->acknowledge(m_panel->request());
        QCOMPARE(seed->text(), QStringLiteral("42"));
        m_panel->setSeedLocked(false);
        m_panel->acknowledge(m_panel->request());
        QVERIFY(seed->text() != QStringLiteral("42"));
    }

    void problemsAreSentencesAndStopTheButton() {
        StartCheck check;
        check.problems = {"The prompt is empty. Write what the clip should show."};
        m_panel->showCheck(check);
        QVERIFY(!m_panel->generateButton()->isEnabled());
        QCOMPARE(child<QLabel>("problems")->text(), QString::fromStdString(check.problems[0]));
        check.problems.clear();
        check.plan.stages = {{"denoise", {{MemoryCategory::Weights, DeviceKind::Cpu, 1'400'000'000}}}};
        check.budgetBytes = 16'000'000'000;
        m_panel->showCheck(check);
        QVERIFY(m_panel->generateButton()->isEnabled());
        QVERIFY(!child<QLabel>("problems")->isVisible());
        QVERIFY(child<QLabel>("memoryPlan")->text().contains(QStringLiteral("predicted")));
    }

    void simpleShowsTheFirstFew() {
        m_panel->setExpert(false);
        for (const char* name : {"promptField", "lengthField", "sizeField", "seedField", "modelField"})
            QVERIFY2(child<QWidget>(name)->isVisible(), name);
        for (const char* name : {"stepsField", "guidanceField", "samplerField", "precisionField"})
            QVERIFY2(!child<QWidget>(name)->isVisible(), name);
        m_panel->setExpert(true);
        QVERIFY(child<QWidget>("stepsField")->isVisible());
        QVERIFY(!child<QWidget>("deviceField")->isVisible()); // one device: nothing to choose
        m_panel->setDevices({"cpu", "cuda: NVIDIA H100"});
        QVERIFY(child<QWidget>("deviceField")->isVisible());
    }

    void altArrowsWalkTheHistory() {
        m_panel->setHistory({QStringLiteral("one"), QStringLiteral("two")});
        auto* prompt = child<QPlainTextEdit>("promptField");
        prompt->setPlainText(QStringLiteral("typed"));
        QTest::keyClick(prompt, Qt::Key_Up, Qt::AltModifier);
        QCOMPARE(prompt->toPlainText(), QStringLiteral("two"));
        QTest::keyClick(prompt, Qt::Key_Down, Qt::AltModifier);
        QCOMPARE(prompt->toPlainText(), QStringLiteral("typed"));
    }

    void changesAreTold() {
        QSignalSpy changed(m_panel.get(), &RequestPanel::changed);
        child<QPlainTextEdit>("promptField")->setPlainText(QStringLiteral("a"));
        QCOMPARE(changed.count(), 1);
        m_panel->setRequest(fullRequest());
        QCOMPARE(changed.count(), 2); // once for all fields
    }

private:
    template <typename T>
    T* child(const char* name) {
        auto* found = m_panel->findChild<T*>(QLatin1String(name));
        if (!found)
            qFatal("no child %s", name);
        return found;
    }
    std::unique_ptr<RequestPanel> m_panel;
};

QTEST_MAIN(FormTest)
#include "form_test.moc"
