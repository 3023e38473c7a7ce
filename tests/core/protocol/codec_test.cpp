#include <doctest/doctest.h>

#include <random>
#include <variant>

#include "core/base/value_codec.h"
#include "core/protocol/blob_assembler.h"
#include "core/protocol/checksum.h"
#include "core/protocol/codec.h"
#include "core/protocol/messages.h"

using namespace canopy;
using namespace canopy::protocol;

namespace {

Value someMap() {
    Value v;
    v.set("prompt", "a red fox").set("steps", 30).set("guidance", 5.5);
    return v;
}

/// One of each kind, every field different from its default.
std::vector<ClientMessage> clientMessages() {
    return {ClientHello{7, 0x8000000000000001u, LogLevel::Trace},
            StartJob{3, "generate", someMap(), someMap(), 1 << 20, 2.5},
            CancelJob{4},
            PauseJob{4},
            Subscribe{{"preview", "block_times"}},
            BlobCredit{123456789012},
            Shutdown{}};
}

std::vector<WorkerMessage> workerMessages() {
    return {WorkerHello{2, 99, 1234, "0.1.0", 8, true, {"cpu", "cuda: card"}, "no driver"},
            Heartbeat{17, 1u << 30, 2u << 20, 5},
            LogLine{LogRecord{1700000000123, LogLevel::Warning, "fake", "something \xE2\x80\x94 odd"}},
            Progress{5, Stage::Decode, 3, 13, 2, 40, 0.25, 12.5, 1.5, 77},
            Resolved{5, someMap(), someMap()},
            Timing{5, 9, "block 3", 0.125},
            BlobStart{11, 5, "preview", 64, 48, 3, 1, 9, 4, 27648, 0xFEDCBA9876543210u},
            BlobChunk{11, 65536, {0, 1, 2, 255}},
            Finished{5, someMap(), someMap()},
            Failed{5, makeError(ErrorCode::OutOfMemory, "needed 3 GB, free 2"), someMap()},
            Paused{5},
            Resumed{5, someMap()},
            Words{5, " und dann \xE2\x80\x94"},
            AttentionStepDone{5, someMap()}};
}

/// Feeds `bytes` in pieces of `piece` and collects all messages.
std::vector<Value> decodeAll(const std::vector<std::uint8_t>& bytes, std::size_t piece) {
    FrameDecoder decoder;
    std::vector<Value> out;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        decoder.feed(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
        Value message;
        while (true) {
            const Result<bool> got = decoder.next(message);
            REQUIRE(got);
            if (!*got) {
                break;
            }
            out.push_back(message);
        }
    }
    CHECK(decoder.pendingBytes() == 0);
    return out;
}

void append(std::vector<std::uint8_t>& to, const std::vector<std::uint8_t>& more) {
    to.insert(to.end(), more.begin(), more.end());
}

} // namespace

TEST_CASE("every message survives the wire, in pieces of any size") {
    std::vector<std::uint8_t> bytes;
    std::vector<Value> sent;
    for (const ClientMessage& m : clientMessages()) {
        sent.push_back(toValue(m));
    }
    for (const WorkerMessage& m : workerMessages()) {
        sent.push_back(toValue(m));
    }
    for (const Value& v : sent) {
        const auto frame = encodeFrame(v);
        REQUIRE(frame);
        append(bytes, *frame);
    }
    for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{64}, bytes.size()}) {
        CHECK(decodeAll(bytes, piece) == sent);
    }
}

TEST_CASE("messages come back with the same fields") {
    CHECK(clientMessages().size() == std::variant_size_v<ClientMessage>);
    CHECK(workerMessages().size() == std::variant_size_v<WorkerMessage>);
    for (const ClientMessage& m : clientMessages()) {
        const auto back = clientMessageFromValue(toValue(m));
        REQUIRE(back);
        CHECK(back->index() == m.index());
        CHECK(toValue(*back) == toValue(m));
    }
    for (const WorkerMessage& m : workerMessages()) {
        const auto back = workerMessageFromValue(toValue(m));
        REQUIRE(back);
        CHECK(back->index() == m.index());
        CHECK(toValue(*back) == toValue(m));
    }
    // Maps compared above would also be equal if reading dropped the same field twice; look at some values.
    const auto start = workerMessageFromValue(toValue(workerMessages()[6]));
    CHECK(std::get<BlobStart>(*start).hash == 0xFEDCBA9876543210u);
    const auto failed = workerMessageFromValue(toValue(workerMessages()[9]));
    CHECK(std::get<Failed>(*failed).error == makeError(ErrorCode::OutOfMemory, "needed 3 GB, free 2"));
    const auto hello = clientMessageFromValue(toValue(clientMessages()[0]));
    CHECK(std::get<ClientHello>(*hello).epoch == 0x8000000000000001u);
    CHECK(std::get<ClientHello>(*hello).logLevel == LogLevel::Trace);
}

TEST_CASE("unknown keys are skipped, missing ones keep their default, wrong types are refused") {
    Value v = toValue(WorkerMessage(Heartbeat{17, 5, 6, 7}));
    v.set("of_a_later_version", "x");
    REQUIRE(workerMessageFromValue(v));

    Value old;
    old.set("type", "heartbeat").set("counter", 3);
    const auto read = workerMessageFromValue(old);
    REQUIRE(read);
    CHECK(std::get<Heartbeat>(*read).counter == 3);
    CHECK(std::get<Heartbeat>(*read).dropped == 0);

    for (const auto& [key, wrong] : {std::pair<const char*, Value>{"job", "five"},
                                     {"unit", std::int64_t{1} << 40},
                                     {"unit_seconds", "fast"},
                                     {"stage", 3},
                                     {"stage", "cooking"}}) {
        Value bad = toValue(WorkerMessage(Progress{}));
        bad.set(key, wrong);
        const auto refused = workerMessageFromValue(bad);
        REQUIRE(!refused);
        CHECK(refused.error().code == ErrorCode::Malformed);
        CHECK(refused.error().message.find(key) != std::string::npos);
    }
    Value unknown;
    unknown.set("type", "telepathy");
    CHECK(!workerMessageFromValue(unknown));
    CHECK(!clientMessageFromValue(toValue(workerMessages()[1])));
}

TEST_CASE("bad lengths are refused before anything is allocated") {
    for (const std::uint32_t length : {0u, kMaxMessageBytes + 1, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu}) {
        FrameDecoder decoder;
        std::vector<std::uint8_t> head;
        for (int shift = 0; shift < 32; shift += 8) {
            head.push_back(static_cast<std::uint8_t>(length >> shift));
        }
        decoder.feed(head);
        Value message;
        const auto first = decoder.next(message);
        REQUIRE(!first);
        CHECK(first.error().code == ErrorCode::Malformed);
        CHECK(first.error().message.find(std::to_string(length)) != std::string::npos);
        // The stream stays refused, and feeding it takes no memory.
        decoder.feed(std::vector<std::uint8_t>(1000));
        CHECK(decoder.pendingBytes() == 4);
        CHECK(!decoder.next(message));
    }
    // The largest length is taken, and waits for its bytes.
    FrameDecoder decoder;
    decoder.feed(std::vector<std::uint8_t>{0, 0, 0x10, 0});
    Value message;
    const auto waiting = decoder.next(message);
    REQUIRE(waiting);
    CHECK(!*waiting);
}

TEST_CASE("a message above the limit is not encoded") {
    Value v;
    v.set("type", "x").set("text", std::string(kMaxMessageBytes + 1, 'a'));
    const auto frame = encodeFrame(v);
    REQUIRE(!frame);
    CHECK(frame.error().code == ErrorCode::InvalidArgument);
}

TEST_CASE("garbage never crashes the decoder nor makes it hold more than it was given") {
    std::mt19937 random(20240611);
    int refused = 0;
    for (int stream = 0; stream < 2000; ++stream) {
        std::vector<std::uint8_t> bytes(1 + random() % 300);
        for (auto& b : bytes) {
            b = static_cast<std::uint8_t>(random());
        }
        if (stream % 2 == 0 && bytes.size() > 4) { // a length that fits, and garbage as CBOR
            const std::size_t length = bytes.size() - 4;
            bytes[0] = static_cast<std::uint8_t>(length);
            bytes[1] = static_cast<std::uint8_t>(length >> 8);
            bytes[2] = bytes[3] = 0;
        }
        FrameDecoder decoder;
        decoder.feed(bytes);
        CHECK(decoder.pendingBytes() <= bytes.size());
        Value message;
        Result<bool> got = decoder.next(message);
        refused += got ? 0 : 1;
        if (got && *got) {
            (void)workerMessageFromValue(message);
        }
    }
    CHECK(refused > 1500);
}

TEST_CASE("flipped bits in a real stream are refused or read, never worse") {
    std::vector<std::uint8_t> bytes;
    for (const WorkerMessage& m : workerMessages()) {
        append(bytes, *encodeFrame(toValue(m)));
    }
    std::mt19937 random(7);
    for (int round = 0; round < 3000; ++round) {
        std::vector<std::uint8_t> copy = bytes;
        copy[random() % copy.size()] ^= static_cast<std::uint8_t>(1u << (random() % 8));
        FrameDecoder decoder;
        decoder.feed(copy);
        Value message;
        while (true) {
            const Result<bool> got = decoder.next(message);
            if (!got || !*got) {
                break;
            }
            (void)workerMessageFromValue(message);
        }
    }
}

TEST_CASE("blobs come together from their chunks and are proved by their checksum") {
    std::vector<std::uint8_t> content(3000);
    for (std::size_t i = 0; i < content.size(); ++i) {
        content[i] = static_cast<std::uint8_t>(i * 7);
    }
    BlobStart info;
    info.blob = 1;
    info.kind = "latents";
    info.bytes = content.size();
    info.hash = blobHash(content);
    const auto chunk = [&](std::uint64_t offset, std::size_t size) {
        return BlobChunk{1, offset,
                         Value::Bytes(content.begin() + static_cast<std::ptrdiff_t>(offset),
                                      content.begin() + static_cast<std::ptrdiff_t>(offset + size))};
    };
    BlobAssembler assembler;
    BlobAssembler::Blob blob;

    REQUIRE(assembler.start(info));
    CHECK(!*assembler.add(chunk(0, 1000), blob));
    CHECK(!*assembler.add(chunk(1000, 1999), blob));
    CHECK(*assembler.add(chunk(2999, 1), blob));
    CHECK(blob.bytes == content);

    REQUIRE(assembler.start(info));
    CHECK(!assembler.add(chunk(1, 10), blob)); // wrong offset
    CHECK(!assembler.add(chunk(0, 10), blob)); // given up by then

    REQUIRE(assembler.start(info));
    BlobChunk tooLong{1, 0, Value::Bytes(3001)};
    CHECK(!assembler.add(tooLong, blob));

    info.hash ^= 1;
    REQUIRE(assembler.start(info));
    CHECK(!assembler.add(chunk(0, 3000), blob));

    info.bytes = kMaxBlobBytes + 1;
    CHECK(!assembler.start(info));
    info.kind = "frame";
    info.bytes = 100;
    info.width = 5;
    info.height = 7;
    info.frames = 1;
    CHECK(!assembler.start(info)); // 5 x 7 x 3 is 105
    info.bytes = 105;
    CHECK(assembler.start(info));
    info.width = -5;
    info.height = -7;
    CHECK(!assembler.start(info));
}

TEST_CASE("checksums are the public ones") {
    const std::string digits = "123456789";
    const std::vector<std::uint8_t> bytes(digits.begin(), digits.end());
    CHECK(crc32(bytes) == 0xCBF43926u);
    CHECK(crc32(std::span(bytes).subspan(4), crc32(std::span(bytes).first(4))) == 0xCBF43926u);
    CHECK(blobHash({}) == 0xEF46DB3751D8E999u);
}
