#include "core/formats/byte_bpe.h"

#include <algorithm>
#include <random>

#include "core/base/value_codec.h"
#include "core/formats/bpe_split.h"
#include "core/formats/utf8.h"
#include "tests/core/formats/fixtures.h"

using namespace canopy;
using namespace canopy::test;

namespace {

using Ids = std::vector<std::int32_t>;

/// Bytes as vocab.json spells them.
std::string spelled(unsigned byte) {
    const auto printable = [](unsigned b) { return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD); };
    std::string out;
    char32_t next = 0x100;
    for (unsigned b = 0; b < byte; ++b)
        next += !printable(b);
    appendUtf8(out, printable(byte) ? byte : next);
    return out;
}

/// All bytes as ids 0 to 255, then one token per merge, in order.
Value vocabularyOf(const std::vector<std::pair<std::string, std::string>>& merges) {
    Value out;
    for (unsigned b = 0; b < 256; ++b)
        out.set(spelled(b), static_cast<int>(b));
    int id = 256;
    for (const auto& [left, right] : merges)
        out.set(left + right, id++);
    return out;
}

std::string linesOf(const std::vector<std::pair<std::string, std::string>>& merges) {
    std::string out = "#version: 0.2\n";
    for (const auto& [left, right] : merges)
        out += left + " " + right + "\n";
    return out;
}

BpeTokenizer make(const std::vector<std::pair<std::string, std::string>>& merges, std::string_view added = {},
                  std::string_view config = {}) {
    auto out = BpeTokenizer::fromVocabulary(toJson(vocabularyOf(merges)), linesOf(merges), added, config);
    REQUIRE_MESSAGE(out.ok(), out.error().message);
    return std::move(*out);
}

Ids encode(const BpeTokenizer& tokenizer, std::string_view text,
           SpecialTokens special = SpecialTokens::AsText) {
    auto ids = tokenizer.encode(text, special);
    REQUIRE_MESSAGE(ids.ok(), ids.error().message);
    return *ids;
}

std::vector<std::string> words(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const auto length = qwenWordLength(text);
        REQUIRE(length > 0);
        REQUIRE(length <= text.size());
        out.emplace_back(text.substr(0, length));
        text.remove_prefix(length);
    }
    return out;
}

using Words = std::vector<std::string>;

/// A whole tokenizer.json of the Qwen2 form over one merge.
Value tokenizerJson() {
    Value root;
    Value model;
    model.set("type", "BPE").set("vocab", vocabularyOf({{"a", "b"}}));
    model.set("merges", Value(Value::Array{Value(Value::Array{"a", "b"})}));
    root.set("model", model);
    Value nfc;
    nfc.set("type", "NFC");
    root.set("normalizer", nfc);
    Value pattern, split, bytes, splitter, decoder;
    pattern.set(
        "Regex",
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
    split.set("type", "Split").set("pattern", pattern).set("behavior", "Isolated").set("invert", false);
    bytes.set("type", "ByteLevel").set("add_prefix_space", false).set("use_regex", false);
    splitter.set("type", "Sequence").set("pretokenizers", Value(Value::Array{split, bytes}));
    root.set("pre_tokenizer", splitter);
    decoder.set("type", "ByteLevel");
    root.set("decoder", decoder);
    return root;
}

void refuses(const Value& json, const char* sentence) {
    const auto tokenizer = BpeTokenizer::fromTokenizerJson(toJson(json));
    REQUIRE_MESSAGE(!tokenizer.ok(), sentence);
    CHECK_MESSAGE(tokenizer.error().message.find(sentence) != std::string::npos, tokenizer.error().message);
}

} // namespace

TEST_CASE("the split pattern's alternatives are tried in their order") {
    CHECK(words("It's we'LL they'd'Ve 'x") ==
          Words{"It", "'s", " we", "'LL", " they", "'d", "'Ve", " '", "x"});
    CHECK(words("'\xC5\xBF"
                "a") == Words{"'\xC5\xBF", "a"}); // the long s folds to s
    CHECK(words("a 123 b4") == Words{"a", " ", "1", "2", "3", " b", "4"});
    CHECK(words("x=y!!\r\n\nz") == Words{"x", "=y", "!!\r\n\n", "z"});
    CHECK(words(" !? -1") == Words{" !?", " -", "1"});
    CHECK(words("a   b") == Words{"a", "  ", " b"});
    CHECK(words("a   1") == Words{"a", "  ", " ", "1"});
    CHECK(words("a  \n \n  b") == Words{"a", "  \n \n", " ", " b"});
    CHECK(words("a  ") == Words{"a", "  "});
    CHECK(words("\tab\t\tcd") == Words{"\tab", "\t", "\tcd"});
    CHECK(words("\xE3\x80\x80\xE4\xB8\xAD") == Words{"\xE3\x80\x80\xE4\xB8\xAD"}); // U+3000 may lead a word
    CHECK(words("\xE2\x85\xA3"
                "a") == Words{"\xE2\x85\xA3", "a"}); // Roman four is a number
}

TEST_CASE("the pair of lowest rank is merged first, the leftmost of equal ones") {
    const auto tokenizer = make({{"b", "c"}, {"a", "b"}, {"a", "a"}, {"aa", "aa"}});
    CHECK(encode(tokenizer, "abc") == Ids{'a', 256});
    CHECK(encode(tokenizer, "ab") == Ids{257});
    CHECK(encode(tokenizer, "aaaaa") == Ids{259, 'a'});
    CHECK(encode(tokenizer, "aaab") == Ids{258, 257}); // 'ab' has the lower rank
}

TEST_CASE("one word of a megabyte takes no square of its length") {
    const auto tokenizer = make({{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}});
    const std::string text(1'000'000, 'a');
    CHECK(encode(tokenizer, text) == Ids(125'000, 258));
    const std::string spaces(1'000'000, ' ');
    CHECK(encode(tokenizer, spaces).size() == 1'000'000);
    std::string mixed;
    for (int i = 0; i < 200'000; ++i)
        mixed += " \n ";
    CHECK(encode(tokenizer, mixed).size() == mixed.size());
}

TEST_CASE("added tokens are cut out before normalisation, special ones only when asked for") {
    const auto tokenizer = make({{"a", "b"}}, R"({"<|end|>": 300, "<|end|>x": 301})",
                                R"({"added_tokens_decoder": {"300": {"content": "<|end|>", "special": true},
                                    "302": {"content": "<call>", "special": false}}})");
    CHECK(encode(tokenizer, "ab<|end|>ab", SpecialTokens::AsTokens) == Ids{256, 300, 256});
    CHECK(encode(tokenizer, "<|end|>x", SpecialTokens::AsTokens) == Ids{301}); // the longest
    CHECK(encode(tokenizer, "<|end|>").size() == 7);
    CHECK(encode(tokenizer, "a<call>") == Ids{'a', 302});
    CHECK(tokenizer.addedToken("<|end|>") == 300);
    CHECK_FALSE(tokenizer.addedToken("ab"));
    CHECK(tokenizer.size() == 303);
    CHECK(tokenizer.tokenBytes(299).empty());
    CHECK(tokenizer.decode(Ids{256, 300, 'c', 302, 299, -1, 5000}) == "abc<call>");
    CHECK(tokenizer.decodeAll(Ids{256, 300}) == "ab<|end|>");
}

TEST_CASE("text is brought to normalisation form C") {
    const auto tokenizer = make({});
    CHECK(encode(tokenizer, "e\xCC\x81") == Ids{0xC3, 0xA9});
    CHECK(encode(tokenizer, std::string("a\0b", 3)) == Ids{'a', 0, 'b'});
    std::string stacked = "a";
    for (int i = 0; i < 1025; ++i)
        stacked += "\xCC\x81";
    const auto refused = tokenizer.encode(stacked, SpecialTokens::AsText);
    REQUIRE(!refused.ok());
    CHECK(refused.error().message == "The text has more than 1024 combining marks in a row; remove them");
    CHECK_FALSE(tokenizer.encode("\xFF", SpecialTokens::AsText).ok());
    CHECK_FALSE(tokenizer.encode(std::string((4u << 20) + 1, 'a'), SpecialTokens::AsText).ok());
}

TEST_CASE("streamed text only grows and ends as the whole") {
    const auto tokenizer = make({});
    // A face, a broken lead, a lone continuation, an overlong form, a surrogate, a cut sequence.
    const Ids ids = {'a',  0xF0, 0x9F, 0x98, 0x80, 0xE2, 0x82, 'b', 0x80, 0xC0,
                     0xAF, 0xED, 0xA0, 0x80, 0xE2, 0x82, 0xAC, 'c', 0xF0, 0x9F};
    std::string before;
    for (std::size_t n = 0; n <= ids.size(); ++n) {
        const std::string now = tokenizer.decodePrefix(std::span(ids).first(n));
        CHECK(isValidUtf8(now));
        CHECK(now.starts_with(before));
        before = now;
    }
    const std::string whole = tokenizer.decode(ids);
    CHECK(whole.starts_with(before));
    CHECK(whole == "a\xF0\x9F\x98\x80\xEF\xBF\xBD"
                   "b\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
                   "\xEF\xBF\xBD\xEF\xBF\xBD\xE2\x82\xAC"
                   "c\xEF\xBF\xBD");
    CHECK(tokenizer.decodePrefix(Ids{0xF0, 0x9F, 0x98}).empty());
    CHECK(tokenizer.decodePrefix(Ids{0xF0, 0x9F, 0x98, 0x80}) == "\xF0\x9F\x98\x80");
}

TEST_CASE("a tokenizer.json of the Qwen2 form is read, every other form refused by name") {
    const Value good = tokenizerJson();
    const auto tokenizer = BpeTokenizer::fromTokenizerJson(toJson(good));
    REQUIRE_MESSAGE(tokenizer.ok(), tokenizer.error().message);
    CHECK(encode(*tokenizer, "ab") == Ids{256});
    const auto with = [&](std::string_view key, Value value) {
        Value out = good;
        out.set(key, std::move(value));
        return out;
    };
    const auto withModel = [&](std::string_view key, Value value) {
        Value model = good["model"];
        model.set(key, std::move(value));
        return with("model", std::move(model));
    };
    Value nfkc;
    nfkc.set("type", "NFKC");
    refuses(with("normalizer", nfkc), "a normalizer that is not known here (\"NFKC\")");
    refuses(with("pre_tokenizer", good["decoder"]), "a splitter that is not known here");
    refuses(with("decoder", nfkc), "a decoder that is not known here");
    refuses(with("post_processor", nfkc), "a step that adds tokens");
    refuses(withModel("type", "WordPiece"), "a model kind that is not known here");
    refuses(withModel("ignore_merges", true), "ignore_merges");
    refuses(withModel("unk_token", "<unk>"), "unk_token");
    refuses(withModel("vocab", Value(Value::Map{})), "no vocabulary");
    refuses(withModel("merges", Value(Value::Array{"ab"})), "a merge that is no pair");
    refuses(withModel("merges", Value(Value::Array{"b a"})), "names a token that is not in the vocabulary");
    Value old = withModel("merges", Value(Value::Array{"a b"}));
    CHECK(BpeTokenizer::fromTokenizerJson(toJson(old)).ok());
    Value vocabulary = good["model"]["vocab"];
    vocabulary.set("ab", 7);
    refuses(withModel("vocab", vocabulary), "two tokens have the id 7");
    vocabulary = good["model"]["vocab"];
    vocabulary.set("ab", std::int64_t{1} << 40);
    refuses(withModel("vocab", vocabulary), "has no id below");
    vocabulary = good["model"]["vocab"];
    vocabulary.set("a b", 300);
    refuses(withModel("vocab", vocabulary), "is no sequence of");
    auto bytes = good["model"]["vocab"].asMap();
    bytes.erase("z");
    refuses(withModel("vocab", Value(bytes)), "byte 122 has no token");
    Value token;
    token.set("id", 5).set("content", "<x>").set("special", true);
    refuses(with("added_tokens", Value(Value::Array{token})), "has the id of another token (5)");
    token.set("id", 400).set("lstrip", true);
    refuses(with("added_tokens", Value(Value::Array{token})), "swallows its surroundings");
    CHECK_FALSE(BpeTokenizer::fromTokenizerJson("{").ok());
    CHECK_FALSE(BpeTokenizer::fromTokenizerJson("[]").ok());
    const auto lines =
        BpeTokenizer::fromVocabulary(toJson(vocabularyOf({{"a", "b"}})), "#version: 0.2\nab\n");
    REQUIRE(!lines.ok());
    CHECK(lines.error().message.find("merges.txt has the line \"ab\"") != std::string::npos);
}

TEST_CASE("the files beside a vocabulary are found by themselves") {
    const TemporaryFolder folder;
    const auto vocabulary = folder.write("vocab.json", toJson(vocabularyOf({{"a", "b"}})));
    const auto merges = folder.write("merges.txt", "a b\r\n");
    folder.write("added_tokens.json", R"({"<|im_end|>": 299})");
    folder.write("tokenizer_config.json", R"({"tokenizer_class": "Qwen2Tokenizer"})");
    const auto tokenizer = BpeTokenizer::open(vocabulary, merges);
    REQUIRE_MESSAGE(tokenizer.ok(), tokenizer.error().message);
    CHECK(encode(*tokenizer, "ab<|im_end|>", SpecialTokens::AsTokens) == Ids{256, 299});
    folder.write("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer"})");
    const auto other = BpeTokenizer::open(vocabulary, merges);
    REQUIRE(!other.ok());
    CHECK(other.error().message.find("\"LlamaTokenizer\"") != std::string::npos);
    CHECK(other.error().message.find("vocab.json") != std::string::npos);
    CHECK_FALSE(BpeTokenizer::open(folder.path() / "none.json").ok());
}

TEST_CASE("300 damaged tokenizers are refused, or encode and decode") {
    const auto file = sourceFolder() / "resources/models/starter-qa/tokenizer.json";
    const auto whole = readTextFile(file, std::uint64_t{8} << 20);
    REQUIRE_MESSAGE(whole.ok(), whole.error().message);
    std::mt19937 random(5);
    int loaded = 0;
    for (int i = 0; i < 300; ++i) {
        CAPTURE(i);
        std::string text = *whole;
        for (unsigned n = 1 + random() % 3; n > 0; --n) {
            const std::size_t at = random() % text.size();
            switch (random() % 4) {
            case 0:
                text[at] = "\"{}[],:0a"[random() % 9];
                break;
            case 1:
                text.erase(at, 1 + random() % 20);
                break;
            case 2:
                text.insert(at, text.substr(random() % text.size(), 1 + random() % 40));
                break;
            default:
                text[at] = static_cast<char>(random());
            }
        }
        const auto tokenizer = BpeTokenizer::fromTokenizerJson(text);
        if (!tokenizer) {
            CHECK(tokenizer.error().message.size() > 20);
            continue;
        }
        ++loaded;
        const auto ids = tokenizer->encode("It's <|im_start|> 12 caf\xC3\xA9\n\n", SpecialTokens::AsTokens);
        REQUIRE(ids.ok());
        CHECK_FALSE(ids->empty());
        CHECK(isValidUtf8(tokenizer->decodeAll(*ids)));
    }
    CHECK(loaded < 300);
    CHECK(loaded > 3);
}
