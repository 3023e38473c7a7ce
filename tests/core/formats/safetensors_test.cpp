#include "core/formats/safetensors.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/core/formats/fixtures.h"

using namespace canopy;
using namespace canopy::test;

namespace {

constexpr const char* kTwo = R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                             R"("b":{"dtype":"U8","shape":[],"data_offsets":[24,25]}})";

Result<SafetensorsHeader> parse(const Bytes& file) {
    return parseSafetensorsHeader(file, file.size());
}

struct Refusal {
    const char* json;
    std::size_t data;
    const char* sentence; ///< part of the message that no other rule gives
};

std::string nested(int depth) {
    std::string out = R"({"a":{"dtype":)";
    out +=
        std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']');
    return out + "}}";
}

} // namespace

TEST_CASE("safetensors: a sound header is read") {
    const auto header = parse(rawSafetensors(kTwo, 25));
    REQUIRE(header.ok());
    REQUIRE_EQ(header->tensors.size(), 2);
    CHECK_EQ(header->tensors[0].name, "a");
    CHECK(header->tensors[0].dtype == DType::F32);
    CHECK_EQ(header->tensors[0].shape, Shape{2, 3});
    CHECK_EQ(header->tensors[0].elements(), 6);
    CHECK_EQ(header->tensors[1].shape, Shape{});
    CHECK_EQ(header->tensors[1].elements(), 1);
    CHECK_EQ(header->dataStart, 8 + std::strlen(kTwo));
    CHECK_EQ(header->dataBytes, 25);
}

TEST_CASE("safetensors: legal oddities are read") {
    CHECK(parse(rawSafetensors("{}", 0)).ok());
    CHECK(parse(rawSafetensors("  \n{}   ", 0)).ok()); // the reference reader tolerates leading white space
    // Empty tensors, at the running offset, before and after others.
    CHECK(parse(rawSafetensors(R"({"z":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]},)"
                               R"("a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},)"
                               R"("y":{"dtype":"F32","shape":[0],"data_offsets":[1,1]}})",
                               1))
              .ok());
    const auto meta = parse(rawSafetensors(R"({"__metadata__":{"format":"pt"}})", 0));
    REQUIRE(meta.ok());
    CHECK_EQ(meta->metadata.at("format"), "pt");
    for (const char* type : {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16",
                             "U8", "BOOL", "F8_E4M3", "F8_E5M2"}) {
        const auto known = dtypeFromName(type);
        REQUIRE(known.has_value());
        CHECK_EQ(dtypeName(*known), type);
        const auto n = static_cast<std::size_t>(bits(*known)) / 8;
        const std::string json = std::string(R"({"a":{"dtype":")") + type +
                                 R"(","shape":[1],"data_offsets":[0,)" + std::to_string(n) + "]}}";
        CHECK_MESSAGE(parse(rawSafetensors(json, n)).ok(), type);
    }
    // A header whose length field begins like a pickle (0x80 0x02 = 640) is no pickle.
    std::string padded = "{}";
    padded.resize(640, ' ');
    CHECK(parse(rawSafetensors(padded, 0)).ok());
}

TEST_CASE("safetensors: every rule refuses with its own sentence") {
    const std::vector<Refusal> rows = {
        // not JSON, not this JSON
        {"[]", 0, "no \"{\" at its start"},
        {"{", 0, "at least 2 are needed"},
        {"{\"a\":", 0, "text that is no JSON"},
        {"{} x", 0, "text that is no JSON"},
        {"{}{}", 0, "text that is no JSON"},
        {"\xEF\xBB\xBF{}", 0, "no \"{\" at its start"},
        {"{\"\xFF\":{}}", 0, "text that is no JSON"},
        {"{\"a\":{},}", 0, "no dtype in tensor"},
        {R"({"a":1})", 0, "a number where dtype, shape or data_offsets should be"},
        {R"({"a":"x"})", 0, "a string where dtype, shape or data_offsets should be"},
        {R"({"a":null})", 0, "null where dtype, shape or data_offsets should be"},
        {R"({"a":[]})", 0, "a list where dtype, shape or data_offsets should be"},
        {R"({"a":{"dtype":true}})", 0, "true or false where dtype"},
        {R"({"a":{"dtype":{}}})", 0, "a map where dtype"},
        {R"({"a":{"shape":[[1]]}})", 0, "a list where dtype"},
        {R"({"a":{"shape":["1"]}})", 0, "a string where dtype"},
        // numbers
        {R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", 1, "the number 1.0 in tensor"},
        {R"({"a":{"dtype":"U8","shape":[1e3],"data_offsets":[0,1]}})", 1, "the number 1e3 in tensor"},
        {R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1, "a negative number in tensor"},
        {R"({"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,1]}})", 1,
         "the number 18446744073709551616"},
        {R"({"a":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}})", 1, "text that is no JSON"},
        {R"({"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1]}})", 1, "a dimension of"},
        // keys
        {R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1, "no dtype in tensor"},
        {R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1, "no shape in tensor"},
        {R"({"a":{"dtype":"U8","shape":[1]}})", 1, "no data_offsets in tensor"},
        {R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
         "the key \"dtype\" twice"},
        {R"({"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}})", 1,
         "the key \"shape\" twice"},
        {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"path":"x"}})", 1,
         "the unknown key \"path\""},
        {R"({"a":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}})", 1, "the unknown type \"F4\""},
        {R"({"a":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}})", 4, "the unknown type \"f32\""},
        {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
         2, "tensor \"a\" twice"},
        {R"({"a\u0000":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
         "a NUL character in a tensor name"},
        {R"({"__metadata__":{"a":1}})", 0, "a number in __metadata__"},
        {R"({"__metadata__":{"a":{}}})", 0, "a map in __metadata__"},
        {R"({"__metadata__":{"a":"1","a":"2"}})", 0, "the key \"a\" twice in __metadata__"},
        {R"({"__metadata__":{},"__metadata__":{}})", 0, "__metadata__ twice"},
        // offsets and sizes
        {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1, "fewer than two data_offsets"},
        {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", 1, "more than two data_offsets"},
        {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1, "end before they begin"},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,3]}})", 3,
         "3 bytes of data for 4 bytes of shape"},
        {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2, "a hole of 1 bytes before tensor"},
        {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
         3, "overlapping"},
        {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
         2, "overlapping"},
        {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}})",
         2, "overlapping"},
        {R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[4,4]}})", 4, "a hole of 4 bytes"},
        {R"({"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
         "product exceeds 2^64"},
        {R"({"a":{"dtype":"U8","shape":[4194305,4194305,211106198978564],"data_offsets":[0,4]}})", 4,
         "product exceeds 2^64"},
        {R"({"a":{"dtype":"U8","shape":[281474976710656,281474976710656,0],"data_offsets":[0,0]}})", 0,
         "product exceeds 2^64"},
        {R"({"a":{"dtype":"F64","shape":[281474976710656,16384],"data_offsets":[0,0]}})", 0,
         "more bytes than a file can have"},
        {R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})", 1,
         "more than 8 dimensions"},
        {R"({"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]}})", 0,
         "a dimension of"},
        {R"({"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}})", 4, "The file is incomplete"},
        {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 9, "5 bytes follow the last tensor"},
    };
    for (const auto& row : rows) {
        const auto header = parse(rawSafetensors(row.json, row.data));
        CHECK_MESSAGE(!header.ok(), row.json);
        if (!header)
            CHECK_MESSAGE(header.error().message.find(row.sentence) != std::string::npos, row.json,
                          " gave: ", header.error().message);
    }
}

TEST_CASE("safetensors: limits and the length field") {
    SafetensorsLimits limits;
    const std::string longName = "{\"" + std::string(513, 'n') + "\":{}}";
    CHECK(parse(rawSafetensors(longName, 0)).error().message.find("name of 513 bytes") != std::string::npos);
    CHECK(parse(rawSafetensors(nested(10000), 0)).error().message.find("a list where dtype") !=
          std::string::npos);

    std::string many = "{";
    for (int i = 0; i < 65537; ++i)
        many +=
            (i ? ",\"" : "\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
    many += "}";
    CHECK(parse(rawSafetensors(many, 0)).error().message.find("more than 65536 tensors") !=
          std::string::npos);

    std::string meta = R"({"__metadata__":{)";
    for (int i = 0; i < 65537; ++i)
        meta += (i ? ",\"" : "\"") + std::to_string(i) + "\":\"\"";
    meta += "}}";
    CHECK(parse(rawSafetensors(meta, 0)).error().message.find("more than 65536 entries") !=
          std::string::npos);

    for (const std::uint64_t length : {std::uint64_t{1} << 60, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
        Bytes file(64, ' ');
        std::memcpy(file.data(), &length, 8);
        CHECK(parse(file).error().message.find("This is not a safetensors file") != std::string::npos);
    }
    Bytes zero(64, 0);
    CHECK(parse(zero).error().message.find("header of 0 bytes") != std::string::npos);
    CHECK(parse({}).error().message.find("The file is empty") != std::string::npos);
    CHECK(parse({1, 2, 3}).error().message.find("at least 8") != std::string::npos);
    // A NUL would end the JSON parser's reading without a word.
    Bytes nul = rawSafetensors("{}  ", 0);
    nul[10] = 0;
    CHECK(parse(nul).error().message.find("a NUL byte") != std::string::npos);
    // The announced header is longer than the file; the caller handed in less than the header.
    Bytes cut = rawSafetensors(kTwo, 25);
    CHECK(parseSafetensorsHeader(std::span(cut).first(20), cut.size())
              .error()
              .message.find("changed while being read") != std::string::npos);
    CHECK(
        parseSafetensorsHeader(std::span(cut).first(20), 20).error().message.find("The file is incomplete") !=
        std::string::npos);
    static_cast<void>(limits);
}

TEST_CASE("safetensors: other formats are named") {
    const auto refused = [](std::string_view start, ErrorCode code, const char* sentence) {
        Bytes file(64, 0);
        std::copy(start.begin(), start.end(), file.begin());
        const auto header = parse(file);
        REQUIRE(!header.ok());
        CHECK(header.error().code == code);
        CHECK_MESSAGE(header.error().message.find(sentence) != std::string::npos, header.error().message);
    };
    refused("PK\x03\x04", ErrorCode::Unsupported, "zip or Torch archive");
    refused(std::string_view("\x80\x02}q\x00\xFF\xFF\xFF", 8), ErrorCode::Unsupported, "Python pickle");
    refused("GGUF\x03", ErrorCode::Unsupported, "GGUF");
    refused("version https://git-lfs", ErrorCode::Malformed, "Git LFS pointer");
    refused("<!DOCTYPE html>", ErrorCode::Malformed, "web page");
    for (const char* name : {"a.pth", "a.pt", "a.ckpt", "a.bin", "A.PTH", "x.pkl"}) {
        const auto torch = refuseTorchArchive(name);
        REQUIRE(!torch.ok());
        CHECK(torch.error().message.find("can run programs") != std::string::npos);
        CHECK(torch.error().message.find("onvert it to safetensors") != std::string::npos);
    }
    CHECK(refuseTorchArchive("a.safetensors").ok());
}

TEST_CASE("safetensors: names are escaped in messages") {
    CHECK_EQ(quotedName("a\n\"\\\xC3\xA9"), R"("a\x0a\x22\x5c\xc3\xa9")");
    CHECK_EQ(quotedName(std::string(100, 'x')), "\"" + std::string(80, 'x') + "...\"");
}

TEST_CASE("safetensors: what is written is read back") {
    std::mt19937 random(7);
    for (int round = 0; round < 50; ++round) {
        std::vector<Bytes> data;
        std::vector<TensorBytes> tensors;
        data.reserve(20);
        const int count = static_cast<int>(random() % 20);
        for (int i = 0; i < count; ++i) {
            Shape shape;
            std::uint64_t n = 1;
            for (unsigned d = random() % 4; d > 0; --d) {
                shape.push_back(random() % 4);
                n *= shape.back();
            }
            const auto type = static_cast<DType>(random() % 15);
            Bytes bytes(n * static_cast<std::size_t>(bits(type)) / 8);
            for (auto& b : bytes)
                b = static_cast<std::uint8_t>(random());
            data.push_back(std::move(bytes));
            tensors.push_back({"t\"\n\xC3\xA9" + std::to_string(i), type, shape, data.back()});
        }
        const auto file = writeSafetensors(tensors, {{"k", "v\\\""}});
        const auto header = parse(file);
        REQUIRE_MESSAGE(header.ok(), header.error().message);
        CHECK_EQ(header->metadata.at("k"), "v\\\"");
        CHECK_EQ(header->dataStart % 8, 0);
        REQUIRE_EQ(header->tensors.size(), tensors.size());
        for (const auto& t : header->tensors) {
            const auto original =
                std::find_if(tensors.begin(), tensors.end(), [&](const auto& o) { return o.name == t.name; });
            REQUIRE(original != tensors.end());
            CHECK(t.dtype == original->dtype);
            CHECK_EQ(t.shape, original->shape);
            CHECK(std::equal(original->bytes.begin(), original->bytes.end(),
                             file.begin() + static_cast<std::ptrdiff_t>(header->dataStart + t.begin)));
        }
    }
}

TEST_CASE("safetensors: a file cut at any byte is refused") {
    const Bytes whole = rawSafetensors(kTwo, 25);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        CHECK_MESSAGE(!parse(cut).ok(), size);
    }
    CHECK(parse(whole).ok());
}

TEST_CASE("safetensors: 200,000 mutated headers neither crash nor break a promise") {
    const std::vector<std::string> seeds = {
        kTwo,
        R"({"__metadata__":{"format":"pt"},"x":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]},)"
        R"("y":{"dtype":"I64","shape":[0],"data_offsets":[8,8]},"z":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[8,11]}})",
        R"({"a":{"data_offsets":[0,1],"dtype":"BOOL","shape":[1,1,1]}})",
    };
    const std::vector<std::string> words = {"18446744073709551615",
                                            "9223372036854775807",
                                            "-1",
                                            "1e3",
                                            "0",
                                            "[",
                                            "]",
                                            "{",
                                            "}",
                                            ",",
                                            ":",
                                            "\"dtype\"",
                                            "\"F32\"",
                                            "\\u0000",
                                            "\"data_offsets\"",
                                            "null",
                                            "4294967296",
                                            "\"shape\"",
                                            "\xFF"};
    std::mt19937_64 random(20240817);
    int accepted = 0;
    for (int i = 0; i < 200000; ++i) {
        std::string json = seeds[static_cast<std::size_t>(i) % seeds.size()];
        std::size_t data = 32;
        for (auto changes = 1 + random() % 4; changes > 0; --changes) {
            const auto at = random() % (json.size() + 1);
            switch (random() % 5) {
            case 0:
                if (at < json.size())
                    json[at] = static_cast<char>(random());
                break;
            case 1:
                json.erase(at, random() % 8);
                break;
            case 2:
                json.insert(at, words[random() % words.size()]);
                break;
            case 3:
                json.insert(at, json.substr(random() % json.size(), random() % 40));
                break;
            default:
                data = random() % 40;
            }
            if (json.empty())
                json = "{";
        }
        Bytes file = rawSafetensors(json, data);
        if (random() % 8 == 0)
            file[random() % 8] = static_cast<std::uint8_t>(random());
        const auto header = parse(file);
        if (!header) {
            REQUIRE(!header.error().message.empty());
            continue;
        }
        ++accepted;
        // What was accepted covers the file exactly, tensor after tensor.
        std::uint64_t running = 0;
        std::set<std::string> names;
        for (const auto& t : header->tensors) {
            REQUIRE_EQ(t.begin, running);
            running = t.end;
            REQUIRE_EQ(t.elements() * static_cast<std::uint64_t>(bits(t.dtype)) / 8, t.bytes());
            REQUIRE(names.insert(t.name).second);
        }
        REQUIRE_EQ(header->dataStart + running, file.size());
    }
    CHECK(accepted > 0); // otherwise the mutations never reach the deeper rules
}

TEST_CASE("checkpoint: shards, index and refusals") {
    const TemporaryFolder folder;
    const Bytes one = zeroTensors({{"a", {2, 2}}, {"b", {3}}}, DType::F32, 1);
    const Bytes two = zeroTensors({{"c", {4}}}, DType::U8, 2);
    const auto first = folder.write("m-00001-of-00002.safetensors", one);
    const auto second = folder.write("m-00002-of-00002.safetensors", two);
    const auto index = folder.path() / "m.safetensors.index.json";
    const auto writeIndex = [&](std::string_view text) {
        return folder.write("m.safetensors.index.json", text);
    };
    const auto fails = [&](std::string_view text, const char* sentence) {
        writeIndex(text);
        const auto opened = Checkpoint::openIndex(index);
        REQUIRE_MESSAGE(!opened.ok(), text);
        CHECK_MESSAGE(opened.error().message.find(sentence) != std::string::npos, opened.error().message);
    };

    writeIndex(R"({"metadata":{"total_size":32},"weight_map":{"a":"m-00001-of-00002.safetensors",)"
               R"("b":"m-00001-of-00002.safetensors","c":"m-00002-of-00002.safetensors"}})");
    auto opened = Checkpoint::openIndex(index);
    REQUIRE_MESSAGE(opened.ok(), opened.error().message);
    const TensorInfo* a = opened->find("a");
    const Checkpoint moved = std::move(*opened);
    CHECK_EQ(moved.find("a"), a); // stays valid
    CHECK_EQ(moved.names(), std::vector<std::string>{"a", "b", "c"});
    CHECK_EQ(moved.totalBytes(), 32);
    CHECK_EQ(moved.files(), std::vector<std::filesystem::path>{first, second});
    Bytes c(4);
    REQUIRE(moved.read("c", c).ok());
    CHECK_EQ(c, Bytes{2, 2, 2, 2});
    Bytes part(2);
    REQUIRE(moved.read("c", 2, part).ok());
    CHECK(!moved.read("c", 3, part).ok());
    CHECK(!moved.read("c", part).ok());
    CHECK(!moved.read("d", part).ok());

    fails("[]", "no weight_map");
    fails(R"({"weight_map":{}})", "no weight_map");
    fails(R"({"weight_map":{"a":1}})", "malformed entry");
    for (const char* path : {"../m.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", ".m.safetensors",
                             "m.pth", "a\\\\b.safetensors", "m\\u0000.safetensors"})
        fails(R"({"weight_map":{"a":")" + std::string(path) + R"("}})", "Unsafe path in index");
    fails(R"({"weight_map":{"a":"m-00002-of-00002.safetensors"}})", "does not hold it");
    fails(R"({"weight_map":{"a":"m-00001-of-00002.safetensors"}})", "their index lists 1");
    fails(R"({"weight_map":{"a":"m-00001-of-00002.safetensors","a":"m-00001-of-00002.safetensors"}})",
          "twice");
    fails(R"({"metadata":{"total_size":31},"weight_map":{"c":"m-00002-of-00002.safetensors"}})",
          "their index says 31");
    fails(R"({"metadata":{"total_size":1.5},"weight_map":{"c":"m-00002-of-00002.safetensors"}})",
          "no unsigned integer");
    fails(R"({"weight_map":{"a":"gone.safetensors"}})", "gone.safetensors");

    const auto twice = Checkpoint::open({first, folder.write("copy.safetensors", one)});
    REQUIRE(!twice.ok());
    CHECK(twice.error().message.find("two files of one model") != std::string::npos);
    CHECK(!Checkpoint::open({}).ok());
    CHECK(Checkpoint::open({folder.write("x.pth", one)}).error().message.find("Torch archive") !=
          std::string::npos);
}

TEST_CASE("checkpoint: what is no regular file is refused at once") {
    const TemporaryFolder folder;
    const auto pipe = folder.path() / "pipe.safetensors";
    REQUIRE_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    CHECK(!SafetensorsFile::open(pipe).ok());
    CHECK(!SafetensorsFile::open(folder.path()).ok());
    CHECK(!SafetensorsFile::open(folder.path() / "gone.safetensors").ok());
    CHECK(!SafetensorsFile::open("/dev/null").ok());
    const auto loop = folder.path() / "loop.safetensors";
    std::filesystem::create_symlink(loop, loop);
    CHECK(!SafetensorsFile::open(loop).ok());
    const auto real = folder.write("real.safetensors", zeroTensors({{"a", {1}}}));
    std::filesystem::create_symlink(real, folder.path() / "link.safetensors");
    CHECK(SafetensorsFile::open(folder.path() / "link.safetensors").ok());
    // A file that shrinks after it was opened.
    auto open = SafetensorsFile::open(real);
    REQUIRE(open.ok());
    REQUIRE_EQ(::truncate(real.c_str(), 4), 0);
    Bytes out(2);
    CHECK(!open->read(open->header().tensors.front(), out).ok());
}
