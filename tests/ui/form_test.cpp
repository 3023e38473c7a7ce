#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QSignalSpy>
#include <QSlider>
#include <QTest>
#include <QToolButton>

#include "core/job/settings_schema.h"
#include "ui/panels/request_panel.h"
#include "ui/panels/speed_box.h"
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

/// Trained for chunks of three latent frames.
ModelRecord inBlocks(const char* id) {
    ModelRecord m = model(id, ModelFamily::SkyReelsDf);
    m.defaults.blockLatentFrames = 3;
    m.defaults.framesTrainedMax = 97;
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

    void aClipCanBeAskedForChunkByChunk() {
        m_panel->setModels({inBlocks("df"), model("t2v", ModelFamily::WanT2v)});
        child<LengthField>("lengthField")->setValue(33);
        QVERIFY(child<QWidget>("speedBox")->isVisible());
        QVERIFY(!child<QWidget>("reuseField")->isVisible());
        QCOMPARE(int(m_panel->request().chunks.mode), int(SamplingMode::Whole));
        QSignalSpy changed(m_panel.get(), &RequestPanel::changed);
        QTest::mouseClick(child<QPushButton>("madeChunked"), Qt::LeftButton);
        QCOMPARE(changed.count(), 1);
        QVERIFY(!child<QWidget>("speedBox")->isVisible()); // sparse attention is for clips made at once
        auto r = m_panel->request();
        QCOMPARE(int(r.chunks.mode), int(SamplingMode::Chunked));
        QCOMPARE(r.chunks.blockFrames, 3);
        QCOMPARE(int(r.chunks.cache), int(ReuseMethod::None));

        // Whole chunks only: 3 latent frames are 9 frames, every further chunk 12.
        auto* length = child<LengthField>("lengthField");
        length->setValue(40);
        QCOMPARE(length->value(), 45);
        QTest::keyClick(length, Qt::Key_Up);
        QCOMPARE(length->value(), 57);

        auto* reuse = child<ComboField>("reuseField");
        reuse->setCurrentIndex(1);
        r = m_panel->request();
        QCOMPARE(int(r.chunks.feature), int(ReuseFeature::Latent)); // needs no calibration
        QVERIFY(r.chunks.threshold > 0);
        reuse->setCurrentIndex(2);
        QVERIFY(child<QWidget>("hitRateField")->isVisible());
        QVERIFY(!child<QWidget>("thresholdField")->isVisible());
        child<QSpinBox>("hitRateField")->setValue(30);
        child<QSpinBox>("kvBudgetField")->setValue(4);
        r = m_panel->request();
        QCOMPARE(int(r.chunks.cache), int(ReuseMethod::FlowCache));
        QCOMPARE(r.chunks.hitRate, 0.3);
        QVERIFY(r.chunks.threshold < 0);
        QCOMPARE(r.chunks.kvBudget, 4);
        reuse->setCurrentIndex(3);
        r = m_panel->request();
        QCOMPARE(int(r.chunks.cache), int(ReuseMethod::TeaCache));
        QVERIFY(r.chunks.threshold >= 0 && r.chunks.hitRate < 0);
        QVERIFY(!child<QWidget>("warmupField")->isVisible());
        m_panel->setExpert(true);
        QVERIFY(child<QWidget>("warmupField")->isVisible());

        // What the choice comes to stands there before the start.
        StartCheck check;
        check.request = withModelDefaults(m_panel->request(), inBlocks("df").defaults);
        check.plan.stages = {{"denoise", {{MemoryCategory::KeyValues, DeviceKind::Cpu, 250'000'000}}}};
        m_panel->showCheck(check);
        QVERIFY(child<QLabel>("chunkLayout")->text().contains(QStringLiteral("5 chunks")));
        QVERIFY(child<QLabel>("chunkLayout")->text().contains(QStringLiteral("0.25 GB")));

        QTest::mouseClick(child<QPushButton>("madeWhole"), Qt::LeftButton);
        QVERIFY(m_panel->request().chunks == ChunkSettings());
        // A model that was trained without blocks has no choice.
        auto* field = child<ComboField>("modelField");
        field->setCurrentIndex(1);
        Q_EMIT field->activated(1);
        QVERIFY(!child<QWidget>("blocksBox")->isVisible());
    }

    void chunkSettingsSurviveTheForm() {
        m_panel->setModels({inBlocks("df")});
        auto wanted = fullRequest();
        wanted.frames = 57;
        wanted.chunks.mode = SamplingMode::Chunked;
        wanted.chunks.blockFrames = 3;
        wanted.chunks.arStep = 4; // has no field
        wanted.chunks.cache = ReuseMethod::FlowCache;
        wanted.chunks.feature = ReuseFeature::Latent;
        wanted.chunks.threshold = 0.25;
        wanted.chunks.warmup = 3;
        wanted.chunks.quantity = ReusedQuantity::Residual;
        wanted.chunks.kvBudget = 3;
        wanted.chunks.fromChunk = 2;
        wanted.chunks.basePath = "/clips/fox.mp4";
        wanted.chunks.forced = {{2, 0, 7}};
        QVERIFY(m_panel->setRequest(wanted));
        QVERIFY(m_panel->request() == wanted);
        QVERIFY(child<QWidget>("fromRow")->isVisible());
        QVERIFY(child<QLabel>("fromWords")->text().contains(QStringLiteral("chunk 3 of fox")));
        QTest::mouseClick(child<QToolButton>("fromClear"), Qt::LeftButton);
        QCOMPARE(m_panel->request().chunks.fromChunk, 0);
        QVERIFY(m_panel->request().chunks.basePath.empty());
        QVERIFY(m_panel->request().chunks.forced.empty());
        QVERIFY(!child<QWidget>("fromRow")->isVisible());
    }

    void aClipGoesOnFromAVideo() {
        m_panel->setModels({inBlocks("df")});
        QVERIFY(m_panel->takesVideo());
        child<LengthField>("lengthField")->setValue(57); // five chunks
        m_panel->setVideo(QStringLiteral("/v.mp4"), 100);
        auto r = m_panel->request();
        QCOMPARE(r.imagePath, std::string("/v.mp4"));
        QCOMPARE(int(r.chunks.mode), int(SamplingMode::Chunked));
        QCOMPARE(r.chunks.givenFrames, 6); // two chunks: at least half of the clip is made
        QVERIFY(child<QLabel>("startNote")->isVisible());
        m_panel->setVideo(QStringLiteral("/short.mp4"), 2);
        QCOMPARE(m_panel->request().chunks.givenFrames, 2);
        m_panel->setImage(QStringLiteral("/a.png"));
        QCOMPARE(m_panel->request().chunks.givenFrames, 0);
        QVERIFY(!child<QLabel>("startNote")->isVisible());
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

    void speedIsRealSettings() {
        m_panel->setModels({model("df", ModelFamily::SkyReelsDf)});
        QCOMPARE(int(m_panel->request().attention.method), int(AttentionMethod::Dense));
        QSignalSpy changed(m_panel.get(), &RequestPanel::changed);
        child<QPushButton>("speed_balanced")->click();
        QCOMPARE(changed.count(), 1);
        const auto request = m_panel->request();
        QVERIFY(request.attention == attentionOf("balanced", request.steps));
        // Settings of somebody's own are kept until a place is chosen.
        auto own = request;
        own.attention.tau = 0.87;
        m_panel->setRequest(own);
        QCOMPARE(m_panel->request().attention.tau, 0.87);
        QVERIFY(!child<QSlider>("speedSlider")->isEnabled());
        child<QPushButton>("speed_dense")->click();
        QCOMPARE(int(m_panel->request().attention.method), int(AttentionMethod::Dense));
        QTest::keyClick(child<QSlider>("speedSlider"), Qt::Key_Right);
        QCOMPARE(m_panel->request().attention.tau, attentionOf("faithful", 16).tau);
    }

    void speedInventsNoFigure() {
        m_panel->setModels({model("df", ModelFamily::SkyReelsDf)});
        m_panel->show();
        StartCheck check;
        check.request = m_panel->request();
        m_panel->showCheck(check);
        QVERIFY(!child<QLabel>("speedSeconds")->isVisible());
        QCOMPARE(child<QLabel>("speedSource")->text(), QStringLiteral("not measured here"));
        QVERIFY(child<QPushButton>("measureSpeed")->isVisible());

        SpeedRecord record;
        record.key = speedKeyOf(check.request, "a machine");
        for (const auto& [stop, tokens, sparse] :
             {std::tuple("dense", 720, 0.0), {"dense", 2160, 0.0}, {"balanced", 2160, 0.15}})
            record.samples.push_back(
                {stop, tokens, tokens * 1024, 2, 6, sparse > 0 ? 1 : 6, tokens * 1e-4, sparse, 1});
        record.likeness = {{"balanced", false, 24, 0.8, 2160, 6}};
        m_panel->speed().setRecords({record}, "another machine");
        QVERIFY(!child<QLabel>("speedSeconds")->isVisible());
        m_panel->speed().setRecords({record}, "a machine");
        QVERIFY(child<QLabel>("speedSeconds")->isVisible());
        QCOMPARE(child<QLabel>("speedSource")->text(), QStringLiteral("measured on this machine"));
        child<QPushButton>("speed_balanced")->click();
        check.request = m_panel->request();
        m_panel->showCheck(check);
        QVERIFY(child<QLabel>("speedLikeness")->text().contains(QStringLiteral("Same shot")));
        child<QPushButton>("speed_draft")->click(); // never measured: no figure
        check.request = m_panel->request();
        m_panel->showCheck(check);
        QVERIFY(!child<QLabel>("speedSeconds")->isVisible());
        m_panel->speed().setMeasuring(QStringLiteral("Measuring clip 1 of 12"));
        QVERIFY(child<QPushButton>("measureSpeedCancel")->isVisible());
        QVERIFY(!child<QPushButton>("measureSpeed")->isVisible());
        m_panel->speed().showProblem(QStringLiteral("A clip of the measurement was not made."));
        QVERIFY(child<QLabel>("speedProgress")->isVisible());
        QVERIFY(child<QPushButton>("measureSpeed")->isVisible());
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
