#include "accel/kernels/cpu/attention_avx512_half_isa.h"
#include "accel/kernels/cpu/attention_tile.h"
#include "accel/kernels/cpu/block_score_tile.h"

namespace canopy::accel::kernels {
namespace {

struct Tag;

/// Palette 1: eight tiles of 16 rows x 64 bytes. Layout by the architecture manual (LDTILECFG).
struct alignas(64) TileConfig {
    std::uint8_t palette = 1;
    std::uint8_t startRow = 0;
    std::uint8_t reserved[14] = {};
    std::uint16_t rowBytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

/// Both products by tdpbf16ps, C [16][16] float32 += A [16][32] B [16][16 pairs]. Keys, and values turned by
/// packValues, are A as they lie in memory; packed queries and probabilities are B. Four C tiles (0 to 3)
/// share two A (4, 5) and two B (6, 7).
struct AmxIsa : Avx512HalfLanes<Tag> {
    using Unit = __m512i;
    static constexpr int kKeyGroup = 32;
    static constexpr int kTile = kLanes * kQueryVectors;
    static constexpr std::int64_t kTileStride = kTile * 4; ///< bytes of a row of scores, queries or output

    static void open() {
        static constexpr TileConfig config;
        _tile_loadconfig(&config);
    }
    static void close() { _tile_release(); }

    static bool isOne(Vec x) { return _mm512_cmp_ps_mask(x, _mm512_set1_ps(1.0F), _CMP_EQ_OQ) == 0xffff; }

    /// [token / 32][D][32]: a row holds one column of 32 neighbouring tokens.
    static void packValues(const void* src, std::int64_t stride, std::int64_t tokens, int headDim,
                           std::int64_t first, std::int64_t count, void* packed) {
        const auto* half = static_cast<const std::uint16_t*>(src);
        for (std::int64_t t = first; t < first + count; t += kKeyGroup) {
            auto* group = static_cast<std::uint32_t*>(packed) + t / kStep * headDim;
            for (int d = 0; d < headDim; d += kLanes) {
                // Pairs of tokens in lanes of columns, then turned: 16 pairs x 16 columns.
                Vec block[kLanes];
                for (int pair = 0; pair < kLanes; ++pair) {
                    const std::int64_t token = t + 2 * pair;
                    const __m512i low = columns(half, stride, tokens, token, d);
                    const __m512i high = columns(half, stride, tokens, token + 1, d);
                    block[pair] = _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
                }
                transpose(block);
                for (int i = 0; i < kLanes; ++i)
                    storeBits(group + (d + i) * kLanes, block[i]);
            }
        }
    }

    /// S[key][query] of `count` keys, rounded up to whole groups.
    static void scores(const std::uint32_t* q, const std::uint32_t* keys, int units, int count,
                       float* scores) {
        finishWrites();
        const std::int64_t keyStride = std::int64_t{units} * 4;
        for (int key = 0; key < count; key += kKeyGroup) {
            const std::uint32_t* a = keys + std::int64_t{key} * units;
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
            for (int u = 0; u < units; u += kLanes) {
                _tile_loadd(4, a + u, keyStride);
                _tile_loadd(6, q + u * kTile, kTileStride);
                _tile_loadd(7, q + u * kTile + kLanes, kTileStride);
                _tile_loadd(5, a + u + std::int64_t{16} * units, keyStride);
                multiply();
            }
            storeTiles(scores + key * kTile);
        }
    }

    /// O[d][query] += V P over groups of 32 keys.
    static void addValues(const float* probabilities, const std::uint32_t* values, int headDim, int groups,
                          float* out) {
        finishWrites();
        for (int d = 0; d < headDim; d += 2 * kLanes) {
            float* row = out + d * kTile;
            _tile_loadd(0, row, kTileStride);
            _tile_loadd(1, row + kLanes, kTileStride);
            _tile_loadd(2, row + kLanes * kTile, kTileStride);
            _tile_loadd(3, row + kLanes * kTile + kLanes, kTileStride);
            for (int group = 0; group < groups; ++group) {
                const std::uint32_t* a = values + (std::int64_t{group} * headDim + d) * kLanes;
                const float* b = probabilities + group * kLanes * kTile;
                _tile_loadd(4, a, 64);
                _tile_loadd(6, b, kTileStride);
                _tile_loadd(7, b + kLanes, kTileStride);
                _tile_loadd(5, a + kLanes * kLanes, 64);
                multiply();
            }
            storeTiles(row);
        }
    }

private:
    static __m512i columns(const std::uint16_t* half, std::int64_t stride, std::int64_t tokens,
                           std::int64_t token, int d) {
        if (token >= tokens)
            return _mm512_setzero_si512();
        return _mm512_cvtepu16_epi32(
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(half + token * stride + d)));
    }

    static void multiply() {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }

    /// The compiler's tile loads do not say that they read memory.
    static void finishWrites() { asm volatile("" ::: "memory"); }

    static void storeTiles(float* rows) {
        _tile_stored(0, rows, kTileStride);
        _tile_stored(1, rows + kLanes, kTileStride);
        _tile_stored(2, rows + kLanes * kTile, kTileStride);
        _tile_stored(3, rows + kLanes * kTile + kLanes, kTileStride);
    }
};

} // namespace

extern const AttentionKernels kAmxHalf;
const AttentionKernels kAmxHalf = makeKernels<AmxIsa>();
extern const BlockScoreKernels kAmxHalfScore;
const BlockScoreKernels kAmxHalfScore = makeScoreKernels<AmxIsa>();

} // namespace canopy::accel::kernels
