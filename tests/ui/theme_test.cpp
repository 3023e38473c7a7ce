#include <QApplication>
#include <QFile>
#include <QFontInfo>
#include <QRegularExpression>
#include <QTest>

#include "ui/theme/theme_manager.h"

using namespace canopy::ui;

class ThemeTest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() {
        auto tokens = canopy::ui::loadThemeResources();
        QVERIFY2(tokens.ok(), tokens.ok() ? "" : tokens.error().message.c_str());
        m_tokens = *tokens;
    }

    void everyPairReachesItsContrast() {
        QCOMPARE(m_tokens.minimumText, 4.5);
        QCOMPARE(m_tokens.minimumMarks, 3.0);
        for (const auto palette :
             {Palette::Dark, Palette::Light, Palette::HighContrastDark, Palette::HighContrastLight}) {
            const Theme theme(m_tokens, palette, 1);
            const auto check = [&](Role front, Role back, double minimum) {
                const double measured = contrast(theme.colour(front), theme.colour(back));
                QVERIFY2(measured >= minimum,
                         qPrintable(QStringLiteral("palette %1: %2 on %3 is %4, needs %5")
                                        .arg(int(palette))
                                        .arg(QLatin1String(kRoleNames[size_t(front)].data()),
                                             QLatin1String(kRoleNames[size_t(back)].data()))
                                        .arg(measured)
                                        .arg(minimum)));
            };
            for (auto back : {Role::Window, Role::Panel, Role::Raised}) {
                for (auto front :
                     {Role::Text, Role::Text2, Role::Text3, Role::Accent, Role::Warning, Role::Error})
                    check(front, back, m_tokens.minimumText);
                for (auto front : {Role::Outline, Role::Playhead, Role::Focus, Role::SeriesA, Role::SeriesB,
                                   Role::Computed, Role::Reused, Role::Forced, Role::Compressed})
                    check(front, back, m_tokens.minimumMarks);
            }
            for (auto front : {Role::Text, Role::Text2})
                for (auto back : {Role::Hover, Role::AccentFill})
                    check(front, back, m_tokens.minimumText);
            check(Role::OnAccent, Role::Accent, m_tokens.minimumText);
            check(Role::SelectionText, Role::Selection, m_tokens.minimumText);
        }
    }

    void contrastOfBlackAndWhiteIsTwentyOne() {
        QVERIFY(std::abs(contrast(Qt::black, Qt::white) - 21) < 1e-9);
        QVERIFY(std::abs(contrast(QColor(0x77, 0x77, 0x77), Qt::white) - 4.48) < 0.01);
    }

    void styleSheetKnowsOnlyTokens() {
        QFile file(QStringLiteral(":/theme/canopy.qss"));
        QVERIFY(file.open(QIODevice::ReadOnly));
        const QString source = QString::fromUtf8(file.readAll());
        QVERIFY2(!source.contains(QRegularExpression(QStringLiteral("#[0-9A-Fa-f]{6}"))),
                 "a colour stands in the sheet");
        for (double scale : {0.8, 1.0, 3.0}) {
            const auto sheet = Theme(m_tokens, Palette::Light, scale).expand(source);
            QVERIFY2(sheet.ok(), sheet.ok() ? "" : sheet.error().message.c_str());
            QVERIFY(!sheet->contains(u'$'));
        }
        QVERIFY(!Theme(m_tokens, Palette::Dark, 1).expand(QStringLiteral("a { color: $(nothing); }")).ok());
    }

    void brokenTokensAreNamed() {
        QFile file(QStringLiteral(":/theme/tokens.json"));
        QVERIFY(file.open(QIODevice::ReadOnly));
        QByteArray json = file.readAll();
        json.replace("\"accentFill\": \"#2B3A1D\"", "\"accentFill\": \"leaf\"");
        const auto tokens = tokensFromJson(json);
        QVERIFY(!tokens.ok());
        QVERIFY(tokens.error().message.find("accentFill") != std::string::npos);
        QVERIFY(!tokensFromJson("{").ok());
    }

    void lengthsFollowTheScaleAndHairlinesDoNot() {
        const Theme theme(m_tokens, Palette::Dark, 2);
        QCOMPARE(theme.px(12), 24);
        QCOMPARE(theme.metric(QStringLiteral("size.jobRow")), 104);
        QCOMPARE(theme.metric(QStringLiteral("border.line")), 1);
        QCOMPARE(theme.font(TextStyle::Body).pixelSize(), 26);
    }

    void shippedFontsAreUsed() {
        const Theme theme(m_tokens, Palette::Dark, 1);
        QCOMPARE(QFontInfo(theme.font(TextStyle::Body)).family(), QStringLiteral("Inter"));
        QCOMPARE(QFontInfo(theme.monoFont(TextStyle::Label)).family(), QStringLiteral("JetBrains Mono"));
    }

    void choiceWinsOverTheDesktop() {
        ThemeManager manager(m_tokens);
        manager.setChoice(ThemeChoice::Light);
        QCOMPARE(int(manager.theme().palette()), int(Palette::Light));
        manager.setChoice(ThemeChoice::Dark);
        QCOMPARE(int(manager.theme().palette()), int(Palette::Dark));
        QCOMPARE(QApplication::palette().color(QPalette::Window), manager.theme().colour(Role::Window));
        manager.setChoice(ThemeChoice::HighContrast);
        QVERIFY(manager.theme().isHighContrast());
        manager.setScale(9);
        QCOMPARE(manager.scale(), 3.0);
    }

private:
    Tokens m_tokens;
};

QTEST_MAIN(ThemeTest)
#include "theme_test.moc"
