#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "core/protocol/channel.h"

namespace canopy::test {

/// Two channel ends over one socketpair, as between window and worker.
struct ChannelPair {
    std::unique_ptr<protocol::Channel> first;
    std::unique_ptr<protocol::Channel> second;

    ChannelPair() {
        std::array<int, 2> ends{};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0) {
            first = std::make_unique<protocol::Channel>(ends[0], ends[0]);
            second = std::make_unique<protocol::Channel>(ends[1], ends[1]);
        }
    }
};

/// One channel end, and the other as a bare descriptor into which a test may write what it likes.
struct BareEnd {
    std::unique_ptr<protocol::Channel> channel;
    int descriptor = -1;

    BareEnd() {
        std::array<int, 2> ends{};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0) {
            channel = std::make_unique<protocol::Channel>(ends[0], ends[0]);
            descriptor = ends[1];
        }
    }
    ~BareEnd() { close(); }
    void close() {
        if (descriptor >= 0) {
            ::close(descriptor);
            descriptor = -1;
        }
    }
};

} // namespace canopy::test
