#include <doctest/doctest.h>
#include <poll.h>

#include <chrono>
#include <functional>
#include <random>
#include <thread>

#include "core/base/clock.h"
#include "core/protocol/blob_assembler.h"
#include "core/protocol/channel.h"
#include "tests/support/pipes.h"

using namespace canopy;
using namespace canopy::protocol;
using namespace std::chrono_literals;

namespace {

/// Reads until `enough` says so; false after 30 s or at the end of the stream.
bool readUntil(Channel& channel, std::vector<Value>& messages, const std::function<bool()>& enough) {
    const double deadline = steadySeconds() + 30;
    while (!enough()) {
        pollfd wait = {channel.readDescriptor(), POLLIN, 0};
        if (::poll(&wait, 1, 1000) > 0) {
            const Result<bool> open = channel.receive(messages);
            if (!open || !*open) {
                return enough();
            }
        }
        if (steadySeconds() > deadline) {
            return false;
        }
    }
    return true;
}

Value heartbeat(std::uint64_t counter) {
    return toValue(WorkerMessage(Heartbeat{counter, 0, 0, 0}));
}

BlobStart blobOf(JobId job, std::string kind) {
    BlobStart info;
    info.job = job;
    info.kind = std::move(kind);
    return info;
}

std::size_t chunkBytes(const std::vector<Value>& messages) {
    std::size_t bytes = 0;
    for (const Value& m : messages) {
        bytes += m["data"].asBytes().size();
    }
    return bytes;
}

} // namespace

TEST_CASE("messages cross in both directions, in order") {
    test::ChannelPair pair;
    for (std::uint64_t i = 0; i < 500; ++i) {
        REQUIRE(pair.first->send(heartbeat(i)));
        REQUIRE(pair.second->send(heartbeat(i + 1000)));
    }
    std::vector<Value> atSecond;
    std::vector<Value> atFirst;
    REQUIRE(readUntil(*pair.second, atSecond, [&] { return atSecond.size() == 500; }));
    REQUIRE(readUntil(*pair.first, atFirst, [&] { return atFirst.size() == 500; }));
    for (std::size_t i = 0; i < 500; ++i) {
        CHECK(atSecond[i]["counter"].asInt() == std::int64_t(i));
        CHECK(atFirst[i]["counter"].asInt() == std::int64_t(i + 1000));
    }
    CHECK(pair.first->messagesOut() == 500);
    CHECK(pair.first->bytesOut() == pair.second->bytesIn());
}

TEST_CASE("control messages overtake blob chunks") {
    test::ChannelPair pair;
    // Far more than a socket holds: the writer stands in the middle of the blob when the message is queued.
    pair.first->sendBlob(blobOf(1, "latents"), std::vector<std::uint8_t>(20 << 20), false);
    std::vector<Value> messages;
    REQUIRE(readUntil(*pair.second, messages, [&] { return messages.size() >= 3; }));
    REQUIRE(pair.first->send(heartbeat(7)));
    REQUIRE(readUntil(*pair.second, messages, [&] { return chunkBytes(messages) == (20u << 20); }));
    std::size_t at = 0;
    while (at < messages.size() && messages[at]["type"].asString() != "heartbeat") {
        ++at;
    }
    REQUIRE(at < messages.size());
    // What the socket and the chunk under way hold may come first, no more: 40 chunks are the whole blob.
    CHECK(at < 20);
    CHECK(messages.front()["type"].asString() == "blob_start");
}

TEST_CASE("blobs stop at the credit window and go on with credit") {
    test::ChannelPair pair;
    const std::size_t total = 80u << 20;
    pair.first->sendBlob(blobOf(1, "latents"), std::vector<std::uint8_t>(total / 2), false);
    pair.first->sendBlob(blobOf(1, "latents"), std::vector<std::uint8_t>(total / 2), false);
    std::vector<Value> messages;
    REQUIRE(readUntil(*pair.second, messages, [&] { return chunkBytes(messages) >= kBlobWindowBytes; }));
    CHECK(chunkBytes(messages) == kBlobWindowBytes);
    // Nothing more comes without credit, control messages do.
    REQUIRE(pair.first->send(heartbeat(1)));
    REQUIRE(
        readUntil(*pair.second, messages, [&] { return messages.back()["type"].asString() == "heartbeat"; }));
    CHECK(chunkBytes(messages) == kBlobWindowBytes);
    std::uint64_t credited = 0;
    REQUIRE(readUntil(*pair.second, messages, [&] {
        const std::uint64_t have = chunkBytes(messages);
        pair.first->addCredit(have - credited);
        credited = have;
        return have == total;
    }));
    CHECK(pair.first->waitForBlobRoom(0, {}));
}

TEST_CASE("waiting previews are replaced by newer ones and counted") {
    test::ChannelPair pair;
    pair.first->sendBlob(blobOf(1, "latents"), std::vector<std::uint8_t>(kBlobWindowBytes + 1), false);
    for (int step = 0; step < 10; ++step) {
        BlobStart info = blobOf(1, "preview");
        info.step = step;
        pair.first->sendBlob(info, std::vector<std::uint8_t>(1000, static_cast<std::uint8_t>(step)), true);
    }
    CHECK(pair.first->dropped() == 9);
    std::vector<Value> messages;
    REQUIRE(readUntil(*pair.second, messages, [&] { return chunkBytes(messages) >= kBlobWindowBytes; }));
    pair.first->addCredit(kBlobWindowBytes);
    REQUIRE(readUntil(*pair.second, messages,
                      [&] { return chunkBytes(messages) == kBlobWindowBytes + 1 + 1000; }));
    int previews = 0;
    for (const Value& m : messages) {
        if (m["kind"].asString() == "preview") {
            ++previews;
            CHECK(m["step"].asInt() == 9);
        }
    }
    CHECK(previews == 1);
}

TEST_CASE("blobs of a cancelled job end before what is sent next") {
    test::ChannelPair pair;
    for (int i = 0; i < 10; ++i) {
        pair.first->sendBlob(blobOf(1, "frame"), std::vector<std::uint8_t>(3 << 20), false);
    }
    std::vector<Value> messages;
    REQUIRE(readUntil(*pair.second, messages, [&] { return messages.size() >= 3; }));
    pair.first->dropBlobs(1);
    REQUIRE(pair.first->send(
        toValue(WorkerMessage(Failed{1, makeError(ErrorCode::Cancelled, "Cancelled."), {}}))));
    REQUIRE(
        readUntil(*pair.second, messages, [&] { return messages.back()["type"].asString() == "failed"; }));
    CHECK(chunkBytes(messages) < (30u << 20));
    pair.first->sendBlob(blobOf(2, "frame"), std::vector<std::uint8_t>(5000), false);
    REQUIRE(
        readUntil(*pair.second, messages, [&] { return messages.back()["data"].asBytes().size() == 5000; }));
    CHECK(messages[messages.size() - 3]["type"].asString() == "failed");
    CHECK(messages[messages.size() - 2]["job"].asInt() == 2);
}

TEST_CASE("telemetry is dropped and counted while the other side does not read, events are kept") {
    test::ChannelPair pair;
    const Value line = toValue(WorkerMessage(LogLine{{0, LogLevel::Info, "x", std::string(1000, 'x')}}));
    for (int i = 0; i < 20000; ++i) { // 20 MB
        REQUIRE(pair.first->send(line, Channel::Importance::Telemetry));
        if (i % 200 == 0) {
            REQUIRE(pair.first->send(heartbeat(std::uint64_t(i))));
        }
    }
    CHECK(pair.first->dropped() > 10000);
    std::vector<Value> messages;
    int events = 0;
    std::size_t counted = 0;
    REQUIRE(readUntil(*pair.second, messages, [&] {
        for (; counted < messages.size(); ++counted) {
            events += messages[counted]["type"].asString() == "heartbeat" ? 1 : 0;
        }
        return events == 100;
    }));
    CHECK(pair.first->flush(std::chrono::steady_clock::now() + 30s));
    CHECK(messages.size() < 10000);
}

TEST_CASE("one byte at a time, then a cut in the middle of a message") {
    test::BareEnd end;
    const auto frame = encodeFrame(heartbeat(5));
    std::vector<Value> messages;
    for (const std::uint8_t byte : *frame) {
        CHECK(messages.empty());
        REQUIRE(::write(end.descriptor, &byte, 1) == 1);
        const auto open = end.channel->receive(messages);
        REQUIRE(open);
        CHECK(*open);
    }
    REQUIRE(messages.size() == 1);
    CHECK(messages[0]["counter"].asInt() == 5);
    REQUIRE(::write(end.descriptor, frame->data(), 7) == 7);
    end.close();
    REQUIRE(*end.channel->receive(messages));
    const auto closed = end.channel->receive(messages);
    REQUIRE(closed);
    CHECK(!*closed);
    CHECK(messages.size() == 1);
}

TEST_CASE("garbage through a real socket is an error of the stream") {
    std::mt19937 random(3);
    for (int round = 0; round < 200; ++round) {
        test::BareEnd end;
        std::vector<std::uint8_t> bytes(5000);
        for (auto& b : bytes) {
            b = static_cast<std::uint8_t>(random());
        }
        bytes[3] = 0x7F; // a length far above the limit
        REQUIRE(::write(end.descriptor, bytes.data(), bytes.size()) == 5000);
        std::vector<Value> messages;
        CHECK(!end.channel->receive(messages));
        CHECK(messages.empty());
    }
}

TEST_CASE("a channel whose other side does not read is taken down at once") {
    test::BareEnd end;
    for (int i = 0; i < 100; ++i) {
        REQUIRE(end.channel->send(
            toValue(WorkerMessage(LogLine{{0, LogLevel::Info, "x", std::string(50000, 'x')}}))));
    }
    const double start = steadySeconds();
    CHECK(!end.channel->flush(std::chrono::steady_clock::now() + 50ms));
    end.channel.reset();
    CHECK(steadySeconds() - start < 10);
}

TEST_CASE("writing to a side that is gone is no signal and no wait") {
    test::BareEnd end;
    end.close();
    for (int i = 0; i < 10; ++i) {
        CHECK(end.channel->send(heartbeat(1)));
    }
    std::stop_source never;
    end.channel->sendBlob(blobOf(1, "frame"), std::vector<std::uint8_t>(100 << 20), false);
    CHECK(!end.channel->waitForBlobRoom(0, never.get_token()));
}
