#include "accel/pipelines/feature_cache.h"

#include <ATen/ops/zeros.h>
#include <doctest/doctest.h>

using namespace canopy;
using namespace canopy::accel;

namespace {

VideoTokens videoOf(std::int64_t floats) {
    VideoTokens video;
    video.features = at::zeros({1, 1, floats});
    return video;
}

} // namespace

TEST_CASE("the video used longest ago leaves first, within the limit of bytes") {
    FeatureCache cache(1000);
    cache.put({1, HostPooling::Bilinear}, videoOf(100)); // 400 bytes
    cache.put({2, HostPooling::Bilinear}, videoOf(100));
    CHECK(cache.bytes() == 800);
    REQUIRE(cache.find({1, HostPooling::Bilinear}) != nullptr);
    cache.put({3, HostPooling::Bilinear}, videoOf(100));
    CHECK(cache.size() == 2);
    CHECK(cache.find({2, HostPooling::Bilinear}) == nullptr);
    CHECK(cache.find({1, HostPooling::Bilinear}) != nullptr);
}

TEST_CASE("pooling is part of the key, and what was asked for later replaces what was there") {
    FeatureCache cache(1000);
    cache.put({1, HostPooling::Bilinear}, videoOf(10));
    CHECK(cache.find({1, HostPooling::Average}) == nullptr);
    auto more = videoOf(10);
    more.attention = at::zeros({1, 5});
    cache.put({1, HostPooling::Bilinear}, more);
    CHECK(cache.size() == 1);
    CHECK(cache.bytes() == 60);
    CHECK(cache.find({1, HostPooling::Bilinear})->attention.defined());
}

TEST_CASE("a video larger than the limit is not kept") {
    FeatureCache cache(100);
    cache.put({1, HostPooling::Bilinear}, videoOf(100));
    CHECK(cache.size() == 0);
    CHECK(cache.bytes() == 0);
}

TEST_CASE("a smaller limit is kept at once") {
    FeatureCache cache(1000);
    cache.put({1, HostPooling::Bilinear}, videoOf(100));
    cache.put({2, HostPooling::Bilinear}, videoOf(100));
    cache.setLimit(500);
    CHECK(cache.size() == 1);
    CHECK(cache.find({2, HostPooling::Bilinear}) != nullptr);
}
