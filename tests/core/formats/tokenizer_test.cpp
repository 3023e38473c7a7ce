#include <algorithm>
#include <limits>
#include <random>

#include "core/base/value_codec.h"
#include "core/formats/charsmap.h"
#include "core/formats/piece_trie.h"
#include "core/formats/sentencepiece_model.h"
#include "core/formats/unigram.h"
#include "core/formats/utf8.h"
#include "tests/core/formats/fixtures.h"

using namespace canopy;
using namespace canopy::test;

namespace {

using Ids = std::vector<std::int32_t>;
constexpr const char* kSpace = "\xE2\x96\x81";

std::string spaced(std::string_view text) {
    return kSpace + std::string(text);
}

UnigramTokenizer load(const Bytes& model) {
    auto tokenizer = UnigramTokenizer::fromSentencePiece(model);
    REQUIRE_MESSAGE(tokenizer.ok(), tokenizer.error().message);
    return std::move(*tokenizer);
}

Ids encode(const UnigramTokenizer& tokenizer, std::string_view text) {
    auto ids = tokenizer.encode(text);
    REQUIRE_MESSAGE(ids.ok(), ids.error().message);
    return *ids;
}

void refuses(const Bytes& model, const char* sentence) {
    const auto tokenizer = UnigramTokenizer::fromSentencePiece(model);
    REQUIRE_MESSAGE(!tokenizer.ok(), sentence);
    CHECK_MESSAGE(tokenizer.error().message.find(sentence) != std::string::npos, tokenizer.error().message);
}

std::filesystem::path starter() {
    return sourceFolder() / "resources/models/starter-video/tokenizer";
}

/// Little-endian units, then the texts.
Bytes charsMap(const std::vector<std::uint32_t>& units, std::string_view texts) {
    Bytes out;
    const auto put = [&](std::uint32_t n) {
        for (int shift = 0; shift < 32; shift += 8)
            out.push_back(static_cast<std::uint8_t>(n >> shift));
    };
    put(static_cast<std::uint32_t>(units.size() * 4));
    for (const auto unit : units)
        put(unit);
    out.insert(out.end(), texts.begin(), texts.end());
    return out;
}

constexpr std::uint32_t kHasLeaf = 1u << 8;
constexpr std::uint32_t kLeaf = 1u << 31;

/// One rule: 'a' becomes the text at offset 0. Root's children lie at 0 ^ 1 ^ label, the leaf of 'a' at 0x60
/// ^ 2.
std::vector<std::uint32_t> oneRule() {
    std::vector<std::uint32_t> units(256, 0);
    units[0] = 1u << 10;                        // children at distance 1
    units[1 ^ 'a'] = 'a' | kHasLeaf | 2u << 10; // 0x60, children at 0x62
    units[(1 ^ 'a') ^ 2] = kLeaf | 0;
    return units;
}

Bytes normalizer(const Bytes& map) {
    Bytes out;
    putBytes(out, 2, map);
    return out;
}

} // namespace

TEST_CASE("utf8: strict decoding") {
    CHECK(isValidUtf8("a\xC3\xA9\xE6\x97\xA5\xF0\x9F\xA6\x8A"));
    for (const char* bad :
         {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
          "\xF5\x80\x80\x80", "\xC3", "\xE6\x97", "\xF0\x9F\xA6", "\xC3z", "\xFF"})
        CHECK_FALSE(isValidUtf8(bad));
    for (char32_t c = 0; c <= 0x10FFFF; c += (c < 0x3000 ? 1 : 251)) {
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        std::string text;
        appendUtf8(text, c);
        const auto back = decodeUtf8(text, 0);
        REQUIRE_EQ(back.length, text.size());
        REQUIRE(back.value == c);
    }
}

/// The same model in the form that the tokenizers library writes for it.
std::string asTokenizerJson(const std::filesystem::path& file) {
    const auto bytes = readFile(file, 1u << 20);
    REQUIRE(bytes.ok());
    const auto model = parseSentencePieceModel(*bytes);
    REQUIRE(model.ok());
    Value vocabulary{Value::Array{}};
    for (const Piece& piece : model->pieces)
        vocabulary.push(Value::Array{piece.text, static_cast<double>(piece.score)});
    Value rules;
    rules.push(Value{}.set("type", "Precompiled").set("precompiled_charsmap", model->charsMap));
    rules.push(
        Value{}.set("type", "Replace").set("pattern", Value{}.set("Regex", " {2,}")).set("content", " "));
    Value out;
    out.set("normalizer", Value{}.set("type", "Sequence").set("normalizers", std::move(rules)));
    out.set("pre_tokenizer", Value{}
                                 .set("type", "Metaspace")
                                 .set("replacement", "\u2581")
                                 .set("prepend_scheme", "always")
                                 .set("split", true));
    out.set(
        "model",
        Value{}.set("type", "Unigram").set("unk_id", model->unknownId).set("vocab", std::move(vocabulary)));
    return toJson(out);
}

TEST_CASE("tokenizer: golden ids of the starter, from both file forms") {
    const auto model = UnigramTokenizer::open(starter() / "spiece.model");
    const auto json = UnigramTokenizer::fromTokenizerJson(asTokenizerJson(starter() / "spiece.model"));
    REQUIRE_MESSAGE(model.ok(), model.error().message);
    REQUIRE_MESSAGE(json.ok(), json.error().message);
    struct Row {
        const char* text;
        Ids ids;
    };
    const std::vector<Row> rows = {
        {"a red balloon rises slowly over the sea at sunset", {5, 26, 49, 117, 29, 13, 3, 38, 8, 76}},
        {"three orange fish swim right underwater", {30, 22, 51, 60, 9, 97}},
        {"A Red Balloon, rises  SLOWLY!", {5, 26, 49, 4, 117, 29, 2047}},
        {"Zwei V\303\266gel \303\274ber dem Meer",
         {14, 661, 793, 231, 364, 851, 2, 102, 459, 14, 2, 578, 380, 668, 532, 374, 380}},
        {"\346\227\245\346\234\254 \360\237\246\212 \357\254\201ne", {14, 2, 14, 2, 517, 1230}},
        {"", {}},
        {"   ", {}},
        {"a\302\240b\343\200\200c", {5, 594, 553}},
    };
    for (const auto& row : rows) {
        CHECK_MESSAGE(encode(*model, row.text) == row.ids, row.text);
        CHECK_MESSAGE(encode(*json, row.text) == row.ids, row.text);
    }
    CHECK_EQ(model->size(), 2048);
    CHECK_EQ(model->unknownId(), 2);
    CHECK_EQ(model->piece(1), "</s>");
    CHECK_EQ(model->piece(-1), "");
    CHECK_EQ(model->piece(2048), "");
}

TEST_CASE("tokenizer: prompts are cut and padded as the pipelines do") {
    const auto t = load(spModel({piece(spaced("a"), -1), piece("</s>", 0, 3), piece("<pad>", 0, 3)}));
    const auto shortOne = t.encodePrompt("a a", 5, 2, 3);
    REQUIRE(shortOne.ok());
    CHECK_EQ(shortOne->ids, Ids{1, 1, 2, 3, 3});
    CHECK_EQ(shortOne->mask, Bytes{1, 1, 1, 0, 0});
    CHECK_FALSE(shortOne->truncated);
    const auto longOne = t.encodePrompt("a a a a a a", 3, 2, 3);
    REQUIRE(longOne.ok());
    CHECK_EQ(longOne->ids, Ids{1, 1, 2});
    CHECK_EQ(longOne->mask, Bytes{1, 1, 1});
    CHECK(longOne->truncated);
    CHECK_EQ(t.encodePrompt("", 2, 2, 3)->ids, Ids{2, 3});
    CHECK_FALSE(t.encodePrompt("a", 0, 2, 3).ok());
    CHECK_FALSE(t.encodePrompt("a", 65537, 2, 3).ok());
}

TEST_CASE("tokenizer: white space, unknown text, bytes, user-defined and unused pieces") {
    const std::vector<Bytes> pieces = {piece(kSpace, -2), piece("a", -3),  piece(spaced("a"), -1),
                                       piece("b", -3),    piece("ab", -2), piece("<x>", 0, 4),
                                       piece("c", -1, 5)};
    const auto t = load(spModel(pieces));
    CHECK_EQ(encode(t, "a"), Ids{3});
    CHECK_EQ(encode(t, "  a   a "), Ids{3, 3});
    CHECK_EQ(encode(t, ""), Ids{});
    CHECK_EQ(encode(t, "   "), Ids{});
    CHECK_EQ(encode(t, "ab"), Ids{1, 5});                       // equal sums: the earlier start wins
    CHECK_EQ(encode(t, "\xE6\x97\xA5\xE6\x9C\xAC"), Ids{1, 0}); // a run of unknown characters is one id
    CHECK_EQ(encode(t, "a<x>a"), Ids{3, 6, 2});
    CHECK_EQ(encode(t, "c"), Ids{1, 0});    // unused pieces never match
    CHECK_EQ(encode(t, "<unk>").back(), 0); // nor do special ones
    CHECK_EQ(encode(t, std::string_view("a\0a", 3)), Ids{3, 0, 2});
    CHECK_EQ(*t.normalize(" a  b"), spaced("a") + spaced("b"));

    Bytes plain; // no dummy prefix, spaces kept and not escaped
    putField(plain, 3, 0);
    putField(plain, 4, 0);
    putField(plain, 5, 0);
    CHECK_EQ(*load(spModel(pieces, {}, plain)).normalize(" a  b "), " a  b ");
    Bytes suffix;
    putField(suffix, 24, 1);
    CHECK_EQ(*load(spModel(pieces, suffix)).normalize("a"), "a" + std::string(kSpace));

    std::vector<Bytes> withBytes = {piece(spaced("a"), -1), piece(kSpace, -2)};
    for (int i = 0; i < 256; ++i) {
        char name[8];
        std::snprintf(name, sizeof name, "<0x%02X>", i);
        withBytes.push_back(piece(name, 0, 6));
    }
    Bytes fallback;
    putField(fallback, 35, 1);
    CHECK_EQ(encode(load(spModel(withBytes, fallback)), "a\xC3\xA9"), Ids{1, 3 + 0xC3, 3 + 0xA9});
    withBytes.pop_back();
    refuses(spModel(withBytes, fallback), "255 of 256 byte pieces");
}

TEST_CASE("tokenizer: damaged models are refused, each with its sentence") {
    refuses({}, "no pieces");
    refuses({0xFF, 0xFF}, "not a SentencePiece model");
    refuses({0x0B}, "not a SentencePiece model"); // a group
    refuses({0x00, 0x01}, "not a SentencePiece model");
    refuses({0x08, 0x01}, "this is not a SentencePiece model");
    refuses(spModel({piece("", -1)}), "piece 1 is empty");
    refuses(spModel({piece(std::string(513, 'x'), -1)}), "a piece of 513 bytes");
    refuses(spModel({piece(std::string_view("a\0b", 3), -1)}), "a NUL character in piece 1");
    refuses(spModel({piece("\xC3", -1)}), "piece 1 is no UTF-8");
    refuses(spModel({piece("a", -1), piece("a", -2)}), "piece \"a\" twice");
    refuses(spModel({piece("a", std::numeric_limits<float>::quiet_NaN())}), "no finite number");
    refuses(spModel({piece("a", -std::numeric_limits<float>::infinity())}), "no finite number");
    refuses(spModel({piece("a", -1, 7)}), "unknown type 7");
    refuses(spModel({piece("a", -1, 0)}), "unknown type 0");
    refuses(spModel({piece("b", 0, 2)}), "two pieces for unknown text");
    for (const char* name : {"<0x-1>", "<0x4>", "<0x041>", "<0x4g>", "<0xaB>", "<0X41>"})
        refuses(spModel({piece(name, 0, 6)}), "not of the form <0x41>");
    Bytes noUnknown;
    putBytes(noUnknown, 1, piece("a", -1));
    refuses(noUnknown, "no piece for unknown text");
    Bytes bpe;
    putField(bpe, 3, 2);
    refuses(spModel({piece("a", -1)}, bpe), "no unigram model (type 2)");
    refuses(spModel({Bytes{0x0A, 0x05, 'a'}}), "a piece that ends too early");
    refuses(spModel({piece("a", -1)}, {0x18}), "a trainer section that ends too early");
    refuses(spModel({piece("a", -1)}, {}, {0x12, 0x09}), "a normalizer section that ends too early");
    refuses(spModel({Bytes{0x08, 0x01}}), "a piece whose fields have the wrong type");
    refuses(spModel({piece("a", -1)}, {}, {0x1A, 0x00}), "a normalizer section whose fields");
}

TEST_CASE("tokenizer: tries that point outside are refused before use") {
    const auto refusesMap = [](const Bytes& map, const char* sentence) {
        const auto parsed = CharsMap::parse(map);
        REQUIRE_MESSAGE(!parsed.ok(), sentence);
        CHECK_MESSAGE(parsed.error().message.find(sentence) != std::string::npos, parsed.error().message);
        refuses(spModel({piece("a", -1)}, {}, normalizer(map)), sentence);
    };
    const auto good = charsMap(oneRule(), std::string_view("xyz\0", 4));
    const auto map = CharsMap::parse(good);
    REQUIRE_MESSAGE(map.ok(), map.error().message);
    CHECK_EQ(map->longestPrefix("ab").length, 1);
    CHECK_EQ(map->longestPrefix("ab").replacement, "xyz");
    CHECK_EQ(map->longestPrefix("b").length, 0);
    CHECK_EQ(map->longestPrefix("").length, 0);
    CHECK_EQ(*load(spModel({piece("a", -1)}, {}, normalizer(good))).normalize("aa"), spaced("xyzxyz"));

    refusesMap({1, 2}, "end inside their size field");
    Bytes tooLong = good;
    tooLong[1] = 0xFF;
    refusesMap(tooLong, "announce a trie");
    refusesMap(charsMap(std::vector<std::uint32_t>(255, 0), std::string_view("x\0", 2)),
               "expected a multiple of 1024");
    refusesMap(charsMap({}, std::string_view("x\0", 2)), "expected a multiple of 1024");
    refusesMap(charsMap(oneRule(), ""), "without an end");
    refusesMap(charsMap(oneRule(), "xyz"), "without an end");
    refusesMap(charsMap(oneRule(), std::string_view("\xFF\0", 2)), "no UTF-8");
    auto units = oneRule();
    units[0] = kLeaf;
    refusesMap(charsMap(units, std::string_view("x\0", 2)), "a leaf as root");
    units = oneRule();
    units[0] = 0x1FFFFFu << 10;
    refusesMap(charsMap(units, std::string_view("x\0", 2)), "children outside of the trie");
    units = oneRule();
    units[0] = 0x1FFFFFu << 10 | 1u << 9;
    refusesMap(charsMap(units, std::string_view("x\0", 2)), "children outside of the trie");
    units = oneRule();
    units[0x62] = kLeaf | 4;
    refusesMap(charsMap(units, std::string_view("xyz\0", 4)), "a replacement outside of the texts");
    units[0x62] = 0;
    refusesMap(charsMap(units, std::string_view("xyz\0", 4)), "a rule without replacement");
    units[0x62] = kLeaf | 1;
    refusesMap(charsMap(units, std::string_view("\xC3\xA9\0", 3)), "starts inside a character");
}

TEST_CASE("tokenizer: accepted but hostile rules end in bounded work") {
    // A trie that leads back into itself: 'a' under 'a' for ever.
    std::vector<std::uint32_t> units(256, 0);
    units[0] = 1u << 10;
    units[1 ^ 'a'] = 'a' | 'a' << 10; // children of 0x60 at 0x60 ^ 0x61 = 1, so 'a' leads to 0x60 again
    const auto cyclic =
        load(spModel({piece("a", -1)}, {}, normalizer(charsMap(units, std::string_view("x\0", 2)))));
    CHECK_EQ(encode(cyclic, std::string(65536, 'a')).size(), 65537);

    // One character that becomes 300 KB.
    const auto growing =
        load(spModel({piece("a", -1)}, {},
                     normalizer(charsMap(oneRule(), std::string(300000, 'y') + std::string(1, '\0')))));
    CHECK(growing.encode("a").ok());
    const auto refused = growing.encode("aaaa");
    REQUIRE(!refused.ok());
    CHECK(refused.error().message.find("beyond 1 MiB") != std::string::npos);

    // A rule for one byte of a character leaves the rest as a replacement character.
    std::vector<std::uint32_t> half(256, 0);
    half[0] = 1u << 10;
    half[1 ^ 0xC3] = 0xC3 | kHasLeaf | 2u << 10;
    half[1 ^ 0xC3 ^ 2] = kLeaf;
    const auto broken =
        load(spModel({piece("a", -1)}, {}, normalizer(charsMap(half, std::string_view("x\0", 2)))));
    CHECK_EQ(*broken.normalize("\xC3\xA9"), spaced("x\xEF\xBF\xBD"));
    CHECK(isValidUtf8(*broken.normalize("\xC3\xA9")));

    // Long pieces of one letter over a long prompt of it: work is bounded by length times piece length.
    const auto letters = load(spModel({piece("a", -1), piece(std::string(512, 'a'), -2)}));
    CHECK(letters.encode(std::string(65535, 'a')).ok());
}

TEST_CASE("tokenizer: hostile prompts") {
    const auto t = load(spModel({piece("a", -1)}));
    CHECK(t.encode(std::string(65536, 'a')).ok());
    const auto tooLong = t.encode(std::string(65537, 'a'));
    REQUIRE(!tooLong.ok());
    CHECK(tooLong.error().message.find("The prompt has 65537 bytes") != std::string::npos);
    const auto notText = t.encode("\xC3\x28");
    REQUIRE(!notText.ok());
    CHECK(notText.error().message.find("not valid UTF-8") != std::string::npos);
    CHECK(t.encode("\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D").ok());
    CHECK(t.encode(std::string(10000, '\n')).ok());
}

TEST_CASE("tokenizer: tokenizer.json forms") {
    const std::string vocabulary = R"([["<unk>",0],["\u2581a",-1],["b",-2.5]])";
    const std::string splitter = R"({"type":"Metaspace","replacement":"\u2581","add_prefix_space":true})";
    const auto json = [&](const std::string& normal, const std::string& split, const std::string& vocab,
                          const std::string& model = R"("type":"Unigram","unk_id":0)",
                          const std::string& added = "[]") {
        return R"({"added_tokens":)" + added + R"(,"normalizer":)" + normal + R"(,"pre_tokenizer":)" + split +
               R"(,"model":{)" + model + R"(,"vocab":)" + vocab + "}}";
    };
    const auto ids = [](const std::string& text, std::string_view prompt) {
        const auto t = UnigramTokenizer::fromTokenizerJson(text);
        REQUIRE_MESSAGE(t.ok(), t.error().message);
        return encode(*t, prompt);
    };
    const auto fails = [](const std::string& text, const char* sentence) {
        const auto t = UnigramTokenizer::fromTokenizerJson(text);
        REQUIRE_MESSAGE(!t.ok(), text);
        CHECK_MESSAGE(t.error().message.find(sentence) != std::string::npos, t.error().message);
    };
    CHECK_EQ(ids(json("null", splitter, vocabulary), "ab"), Ids{1, 2});
    CHECK_EQ(ids(json("null", splitter, vocabulary, R"("unk_id":0)"), "ab"), Ids{1, 2}); // older files
    for (
        const char* split :
        {R"({"type":"Metaspace","replacement":"\u2581","prepend_scheme":"always","split":true})",
         R"({"type":"Metaspace","replacement":"\u2581","prepend_scheme":"first"})",
         R"({"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Metaspace","replacement":"\u2581"}]})"})
        CHECK_EQ(ids(json("null", split, vocabulary), "a a"), Ids{1, 1});
    CHECK_EQ(ids(json("null", R"({"type":"Metaspace","replacement":"\u2581","prepend_scheme":"never"})",
                      vocabulary),
                 "b"),
             Ids{2});
    CHECK_EQ(
        ids(json(R"({"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "})", splitter, vocabulary),
            " a   a "),
        Ids{1, 1});
    CHECK_EQ(ids(json("null", splitter, vocabulary, R"("type":"Unigram","unk_id":0)",
                      R"([{"id":2,"content":"b","special":true},{"id":9,"content":"far","special":true}])"),
                 "ab"),
             Ids{1, 0}); // special tokens never match inside a text

    fails("[", "Damaged tokenizer");
    fails("{}", "no Unigram model");
    fails(json("null", splitter, vocabulary, R"("type":"BPE","unk_id":0)"), "no Unigram model (\"BPE\")");
    fails(json("null", splitter, vocabulary, R"("type":"Unigram","unk_id":3)"), "no piece for unknown text");
    fails(json("null", splitter, vocabulary, R"("type":"Unigram","unk_id":-1)"), "no piece for unknown text");
    fails(json("null", splitter, vocabulary, R"("type":"Unigram","unk_id":null)"),
          "no piece for unknown text");
    fails(json("null", splitter, "[]"), "no vocabulary");
    fails(json("null", splitter, R"([["<unk>"]])"), "piece 0 is not a pair");
    fails(json("null", splitter, R"([["<unk>",1e300]])"), "piece 0 is no finite number");
    fails(json("null", splitter, R"([["<unk>",0],["<unk>",0]])"), "twice");
    fails(json("null", "null", vocabulary), "a splitter that is not known here");
    fails(json("null", R"({"type":"ByteLevel"})", vocabulary),
          "a splitter that is not known here (\"ByteLevel\")");
    fails(json("null", R"({"type":"Metaspace","replacement":"_"})", vocabulary), "a space symbol");
    fails(json("null", R"({"type":"Metaspace","replacement":"\u2581","prepend_scheme":"x"})", vocabulary),
          "a prepend scheme");
    fails(json(R"({"type":"Lowercase"})", splitter, vocabulary),
          "a normalizer that is not known here (\"Lowercase\")");
    fails(json(R"({"type":"Replace","pattern":{"Regex":"(a+)+$"},"content":" "})", splitter, vocabulary),
          "a replacement");
    fails(json(R"({"type":"Precompiled","precompiled_charsmap":"!!"})", splitter, vocabulary), "no base64");
    fails(json(R"({"type":"Precompiled","precompiled_charsmap":"AAAA"})", splitter, vocabulary),
          "size field");
    fails(json("null", splitter, vocabulary, R"("type":"Unigram","unk_id":0,"byte_fallback":true)"),
          "0 of 256 byte pieces");
    fails(json("null", splitter, vocabulary, R"("type":"Unigram","unk_id":0)", R"([{"id":1,"content":"x"}])"),
          "added token 1 differs");
}

TEST_CASE("tokenizer: 20,000 mutated models and prompts neither crash nor hang") {
    Bytes texts = charsMap(oneRule(), std::string_view("xyz\0", 4));
    const Bytes seed = spModel({piece(kSpace, -2), piece("a", -3), piece("<x>", 0, 4), piece("ab", -2)}, {},
                               normalizer(texts));
    std::mt19937_64 random(99);
    int accepted = 0;
    for (int i = 0; i < 20000; ++i) {
        Bytes model = seed;
        for (auto changes = 1 + random() % 3; changes > 0; --changes) {
            // Most of the file is the trie; half of the changes go to the rest.
            const auto at =
                random() % 2 ? random() % model.size() : random() % std::min<std::size_t>(model.size(), 80);
            switch (random() % 3) {
            case 0:
                model[at] = static_cast<std::uint8_t>(random());
                break;
            case 1:
                model.resize(at + 1);
                break;
            default:
                model.insert(model.begin() + static_cast<std::ptrdiff_t>(at),
                             static_cast<std::uint8_t>(random()));
            }
        }
        const auto t = UnigramTokenizer::fromSentencePiece(model);
        if (!t)
            continue;
        ++accepted;
        const auto ids = t->encode("a <x> ab\xC3\xA9 \xF0\x9F\xA6\x8A  aaa");
        if (!ids)
            continue;
        for (const auto id : *ids)
            REQUIRE((id >= 0 && id < t->size()));
    }
    CHECK(accepted > 0);
}

TEST_CASE("tokenizer: a model cut at any byte loads or is refused, and then encodes") {
    const auto whole = readFile(starter() / "spiece.model", 1 << 20);
    REQUIRE(whole.ok());
    for (std::size_t size = 0; size < whole->size(); size += 1 + size / 64) {
        const auto t = UnigramTokenizer::fromSentencePiece(std::span(*whole).first(size));
        if (t)
            CHECK(t->encode("a red balloon").ok());
    }
}

TEST_CASE("tokenizer: the model that a text encoder carries as a tensor") {
    const TemporaryFolder folder;
    const Bytes model = spModel({piece(spaced("a"), -1)});
    const auto file = folder.write("t5.safetensors",
                                   writeSafetensors({{"spiece_model", DType::U8, {model.size()}, model}}));
    const auto t = UnigramTokenizer::open(file);
    REQUIRE_MESSAGE(t.ok(), t.error().message);
    CHECK_EQ(encode(*t, "a"), Ids{1});
    const auto none = UnigramTokenizer::open(folder.write("x.safetensors", zeroTensors({{"a", {1}}})));
    REQUIRE(!none.ok());
    CHECK(none.error().message.find("holds no tokenizer") != std::string::npos);
    CHECK_FALSE(UnigramTokenizer::open(folder.path() / "gone.model").ok());
}
