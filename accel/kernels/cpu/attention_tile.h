#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "accel/kernels/cpu/attention_kernel_set.h"

// The attention of one work item, written once over an instruction set `Isa` (attention_<isa>.cpp). Lanes are
// queries:
//
//   queries ->        0 1 2 ... 31                    scores are kept transposed, S[key][query], so that
//   maximum, Q  [D/step][32]   units, packed once per item     exponential and sum of the softmax are plain
//   lane-wise S  [128][32]      float32, K broadcast            operations, and neither product needs a
//   packed left operand: P  [128/step][32] units, written over S           K and V enter as broadcast 4-byte
//   units. O  [D][32]        float32, V broadcast
//
// `step` is the number of multiply-adds per lane: 1 for float32, 2 for pairs of bfloat16. A tile (Q, O and S)
// stays in the first-level cache, a piece of 128 keys and values is shared by the tiles of the item.
//
// Everything hangs on a type of an anonymous namespace, so that every instantiation is internal to its file.
namespace canopy::accel::kernels {

constexpr int kPieceKeys = 128;
constexpr int kItemQueries = 128;

/// An instruction set with a matrix unit brings both products (scores, addValues), the layout of its values
/// (packValues) and the number of keys that it takes at a time (kKeyGroup).
template <class Isa>
constexpr bool kHasMatrixUnit = requires {
    Isa::kKeyGroup;
};

template <class Isa>
constexpr int keyGroup() {
    if constexpr (kHasMatrixUnit<Isa>)
        return Isa::kKeyGroup;
    else
        return Isa::kStep;
}

template <class Isa>
class AttentionTile {
public:
    static constexpr int kTile = Isa::kLanes * Isa::kQueryVectors; ///< queries of a tile

private:
    using Vec = typename Isa::Vec;
    using Unit = typename Isa::Unit;
    static constexpr int kStep = Isa::kStep;
    static constexpr int kLanes = Isa::kLanes;
    static constexpr int kVectors = Isa::kQueryVectors;
    static constexpr int kRows = Isa::kRows; ///< keys (first product) or columns (second) per register block
    static constexpr int kTiles = kItemQueries / kTile;
    /// Keys that the value product takes at a time; a matrix unit takes more of them than a lane's unit
    /// holds.
    static constexpr int kKeyGroup = keyGroup<Isa>();
    static_assert(kItemQueries % kTile == 0 && kPieceKeys % kRows == 0 && 8 % kRows == 0);

    struct Scratch {
        std::uint32_t* q; ///< [tile][D / step][kTile]
        float* out;       ///< [tile][D][kTile]
        float* scores;    ///< [kPieceKeys][kTile], probabilities over it
        float* maxima;    ///< [kItemQueries], of the unscaled scores
        float* sums;      ///< [kItemQueries]
    };

    static std::size_t align(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

    static Scratch divide(void* memory, int headDim) {
        auto* at = static_cast<unsigned char*>(memory);
        const auto take = [&at](std::size_t floats) {
            auto* p = at;
            at += align(floats * 4);
            return static_cast<void*>(p);
        };
        const auto depth = static_cast<std::size_t>(headDim);
        Scratch s{};
        s.scores = static_cast<float*>(take(std::size_t{kPieceKeys} * kTile));
        s.maxima = static_cast<float*>(take(kItemQueries));
        s.sums = static_cast<float*>(take(kItemQueries));
        s.q = static_cast<std::uint32_t*>(take(depth / kStep * kItemQueries));
        s.out = static_cast<float*>(take(depth * kItemQueries));
        return s;
    }

public:
    static std::size_t scratchBytes(int headDim) {
        const auto depth = static_cast<std::size_t>(headDim);
        return align(
            (std::size_t{kPieceKeys} * kTile + 2 * kItemQueries + (depth / kStep + depth) * kItemQueries) *
            4);
    }

    static void packKeys(const void* src, std::int64_t stride, bool halfStorage, std::int64_t tokens,
                         int headDim, std::int64_t first, std::int64_t count, void* packed) {
        const int units = headDim / kStep;
        for (std::int64_t t = first; t < first + count; ++t) {
            auto* row = static_cast<std::uint32_t*>(packed) + t * units;
            if (t >= tokens)
                std::memset(row, 0, static_cast<std::size_t>(units) * 4);
            else
                loadRow(src, stride, halfStorage, t, headDim, row);
        }
    }

    static void packValues(const void* src, std::int64_t stride, bool halfStorage, std::int64_t tokens,
                           int headDim, std::int64_t first, std::int64_t count, void* packed) {
        if constexpr (kHasMatrixUnit<Isa>) {
            Isa::packValues(src, stride, tokens, headDim, first, count, packed);
        } else if constexpr (kStep == 1) {
            packKeys(src, stride, halfStorage, tokens, headDim, first, count, packed);
        } else {
            const auto* half = static_cast<const std::uint16_t*>(src);
            for (std::int64_t t = first; t < first + count; t += 2) {
                auto* row = static_cast<std::uint32_t*>(packed) + t / 2 * headDim;
                if (t >= tokens) {
                    std::memset(row, 0, static_cast<std::size_t>(headDim) * 4);
                    continue;
                }
                const std::uint16_t* low = half + t * stride;
                if (t + 1 >= tokens) {
                    for (int d = 0; d < headDim; ++d)
                        row[d] = low[d];
                    continue;
                }
                const std::uint16_t* high = low + stride;
                for (int d = 0; d < headDim; ++d)
                    row[d] = static_cast<std::uint32_t>(low[d]) | static_cast<std::uint32_t>(high[d]) << 16;
            }
        }
    }

    /// Rows [0, rows) of D channels as units [D / step][kTile], lanes beyond them 0; every unit `& keep ^
    /// flip`.
    static void packLanes(const void* src, std::int64_t stride, bool halfStorage, int rows, int headDim,
                          std::uint32_t* packed, std::uint32_t keep = 0xffffffffU, std::uint32_t flip = 0) {
        const int units = headDim / kStep;
        std::uint32_t lanes[kLanes][kMaxRowUnits];
        for (int g = 0; g < kVectors; ++g) {
            for (int i = 0; i < kLanes; ++i) {
                const int row = g * kLanes + i;
                if (row < rows)
                    loadRow(src, stride, halfStorage, row, headDim, lanes[i]);
                else
                    std::memset(lanes[i], 0, static_cast<std::size_t>(units) * 4);
                for (int u = 0; (keep != 0xffffffffU || flip != 0) && u < units; ++u)
                    lanes[i][u] = (lanes[i][u] & keep) ^ flip;
            }
            for (int u = 0; u < units; u += kLanes) {
                Vec block[kLanes];
                for (int i = 0; i < kLanes; ++i)
                    block[i] = Isa::loadBits(lanes[i] + u); // reads past `units` stay inside `lanes`
                Isa::transpose(block);
                for (int i = 0; i < kLanes && u + i < units; ++i)
                    Isa::storeBits(packed + static_cast<std::size_t>(u + i) * kTile + g * kLanes, block[i]);
            }
        }
    }

    /// S[key][query] for keys [0, count), and the running maxima over keys [skip, count).
    static void scoreTile(const std::uint32_t* q, const std::uint32_t* keys, int units, int skip, int count,
                          float* scores, float* maxima) {
        Vec top[kVectors];
        for (int j = 0; j < kVectors; ++j)
            top[j] = Isa::load(maxima + j * kLanes);
        for (int key = 0; key < count; key += kRows) {
            Vec acc[kRows][kVectors];
#pragma GCC unroll 16
            for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
                for (int j = 0; j < kVectors; ++j)
                    acc[i][j] = Isa::zero();
            const std::uint32_t* k = keys + static_cast<std::ptrdiff_t>(key) * units;
            const std::uint32_t* qUnit = q;
            for (int u = 0; u < units; ++u, qUnit += kTile) {
                Unit a[kVectors];
#pragma GCC unroll 4
                for (int j = 0; j < kVectors; ++j)
                    a[j] = Isa::loadUnits(qUnit + j * kLanes);
#pragma GCC unroll 16
                for (int i = 0; i < kRows; ++i) {
                    const Unit b = Isa::broadcastUnit(k + i * units + u);
#pragma GCC unroll 4
                    for (int j = 0; j < kVectors; ++j)
                        acc[i][j] = Isa::multiplyAdd(acc[i][j], a[j], b);
                }
            }
            float* row = scores + key * kTile;
#pragma GCC unroll 16
            for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
                for (int j = 0; j < kVectors; ++j)
                    Isa::store(row + i * kTile + j * kLanes, acc[i][j]);
            if (key >= skip && key + kRows <= count) {
#pragma GCC unroll 16
                for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
                    for (int j = 0; j < kVectors; ++j)
                        top[j] = Isa::max(top[j], acc[i][j]);
            } else {
                for (int i = key < skip ? skip - key : 0; i < kRows && key + i < count; ++i)
                    for (int j = 0; j < kVectors; ++j)
                        top[j] = Isa::max(top[j], Isa::load(row + i * kTile + j * kLanes));
            }
        }
        for (int j = 0; j < kVectors; ++j)
            Isa::store(maxima + j * kLanes, top[j]);
    }

    static void raiseMaxima(const float* scores, int skip, int count, float* maxima) {
        for (int j = 0; j < kVectors; ++j) {
            Vec top = Isa::load(maxima + j * kLanes);
            for (int key = skip; key < count; ++key)
                top = Isa::max(top, Isa::load(scores + key * kTile + j * kLanes));
            Isa::store(maxima + j * kLanes, top);
        }
    }

    static void runItem(const AttentionItem& item) {
        const Scratch s = divide(item.scratch, item.headDim);
        const int tiles = (item.queries + kTile - 1) / kTile;
        // A negative scale would turn the largest score into the smallest, and zero would make NaN of the
        // first maximum, -inf: move the sign, or the zero, into q, which is exact.
        const float scale = item.scale < 0 ? -item.scale : item.scale == 0 ? 1.0F : item.scale;
        packQueries(item, s, tiles);
        if constexpr (kHasMatrixUnit<Isa>)
            Isa::open();

        const std::size_t depth = static_cast<std::size_t>(item.headDim);
        std::memset(s.out, 0, depth * static_cast<std::size_t>(tiles) * kTile * 4);
        for (int i = 0; i < tiles * kTile; ++i) {
            s.maxima[i] = -__builtin_inff();
            s.sums[i] = 0;
        }
        const std::size_t unitsPerTile = depth / kStep * kTile;
        for (std::int64_t p = 0; p < item.pieceCount; ++p) {
            const KeyPiece piece = item.pieces[p];
            const int skip = piece.begin % kKeyGroup; // keys in front of the piece in its first group
            const std::int64_t first = piece.begin - skip;
            const int whole = piece.count + skip;
            const auto* keys = static_cast<const std::uint32_t*>(item.keys) + first * (item.headDim / kStep);
            const auto* values =
                static_cast<const std::uint32_t*>(item.values) + first / kStep * item.headDim;
            for (int t = 0; t < tiles; ++t) {
                // Keys that the tile's first and last query see of this piece.
                const std::int64_t seen =
                    item.visibleKeys < 0 ? whole : item.visibleKeys + t * kTile - piece.begin;
                const int count = seen + kTile - 1 < whole ? static_cast<int>(seen) + kTile - 1 : whole;
                if (count <= 0)
                    continue;
                float* maxima = s.maxima + t * kTile;
                Vec rescale[kVectors];
                Vec oldMaxima[kVectors];
                for (int j = 0; j < kVectors; ++j)
                    oldMaxima[j] = Isa::load(maxima + j * kLanes);
                const std::uint32_t* q = s.q + static_cast<std::size_t>(t) * unitsPerTile;
                if constexpr (kHasMatrixUnit<Isa>) {
                    Isa::scores(q, keys, item.headDim / kStep, count, s.scores);
                    raiseMaxima(s.scores, skip, count, maxima);
                } else {
                    scoreTile(q, keys, item.headDim / kStep, skip, count, s.scores, maxima);
                }
                if (seen < count)
                    hideLaterKeys(s.scores, static_cast<int>(seen), count, oldMaxima, maxima);
                softmaxTile(s.scores, skip, count, scale, oldMaxima, maxima, s.sums + t * kTile, rescale);
                float* out = s.out + static_cast<std::size_t>(t) * depth * kTile;
                const int groups = (count + kKeyGroup - 1) / kKeyGroup;
                if constexpr (kHasMatrixUnit<Isa>) {
                    shrink(out, item.headDim, rescale);
                    Isa::addValues(s.scores, values, item.headDim, groups, out);
                } else {
                    valueTile(s.scores, values, item.headDim, groups, rescale, out);
                }
            }
        }
        for (int t = 0; t < tiles; ++t)
            storeTile(item, s, t, scale);
        if constexpr (kHasMatrixUnit<Isa>)
            Isa::close();
    }

private:
    /// One token's row as units, without a change of order.
    static void loadRow(const void* src, std::int64_t stride, bool halfStorage, std::int64_t token,
                        int headDim, std::uint32_t* row) {
        if (!halfStorage) {
            std::memcpy(row, static_cast<const float*>(src) + token * stride,
                        static_cast<std::size_t>(headDim) * 4);
            return;
        }
        const std::uint16_t* half = static_cast<const std::uint16_t*>(src) + token * stride;
        if constexpr (kStep == 2) {
            std::memcpy(row, half, static_cast<std::size_t>(headDim) * 2);
        } else {
            for (int d = 0; d < headDim; ++d)
                row[d] = static_cast<std::uint32_t>(half[d]) << 16;
        }
    }

    static void packQueries(const AttentionItem& item, const Scratch& s, int tiles) {
        const std::uint32_t flip = item.scale < 0 ? (kStep == 2 ? 0x80008000U : 0x80000000U) : 0U;
        const std::uint32_t keep = item.scale == 0 ? 0U : 0xffffffffU;
        const std::int64_t tileBytes = kTile * item.qStride * (item.halfStorage ? 2 : 4);
        const auto units = static_cast<std::size_t>(item.headDim / kStep);
        for (int t = 0; t < tiles; ++t) {
            const int left = item.queries - t * kTile;
            packLanes(static_cast<const unsigned char*>(item.q) + t * tileBytes, item.qStride,
                      item.halfStorage, left < kTile ? left : kTile, item.headDim,
                      s.q + static_cast<std::size_t>(t) * units * kTile, keep, flip);
        }
    }

    /// Query i sees keys [0, seen + i): the scores of later ones become -inf, and the maxima are taken anew.
    static void hideLaterKeys(float* scores, int seen, int count, const Vec* oldMaxima, float* maxima) {
        for (int key = seen < 0 ? 0 : seen; key < count; ++key) {
            const int blind = key - seen + 1 < kTile ? key - seen + 1 : kTile; // queries before the key
            for (int i = 0; i < blind; ++i)
                scores[key * kTile + i] = -__builtin_inff();
        }
        for (int j = 0; j < kVectors; ++j) {
            Vec top = oldMaxima[j];
            for (int key = 0; key < count; ++key)
                top = Isa::max(top, Isa::load(scores + key * kTile + j * kLanes));
            Isa::store(maxima + j * kLanes, top);
        }
    }

    /// exp(scale * (S - max)) as units over S, sums updated, and the factor by which older output shrinks.
    static void softmaxTile(float* scores, int skip, int count, float scale, const Vec* oldMaxima,
                            const float* maxima, float* sums, Vec* rescale) {
        const Vec factor = Isa::broadcast(scale * 1.44269504088896F); // exp(x) = exp2(x log2 e)
        const Vec none = Isa::zero();
        for (int j = 0; j < kVectors; ++j) {
            const Vec top = Isa::load(maxima + j * kLanes);
            rescale[j] = Isa::exp2(Isa::mul(Isa::sub(oldMaxima[j], top), factor));
            Vec sum = Isa::mul(Isa::load(sums + j * kLanes), rescale[j]);
            const float* s = scores + j * kLanes;
            if constexpr (kStep == 1) {
                float* p = scores + j * kLanes;
                for (int key = 0; key < count; ++key) {
                    const Vec e = Isa::exp2(Isa::mul(Isa::sub(Isa::load(s + key * kTile), top), factor));
                    sum = Isa::add(sum, e);
                    Isa::store(p + key * kTile, e);
                }
            } else {
                // Pair n is written to row n after rows 2n and 2n + 1 were read: in place is safe.
                float* p = scores + j * kLanes;
                Vec odd = none;
                const auto exponential = [&](int key) {
                    return Isa::exp2(Isa::mul(Isa::sub(Isa::load(s + key * kTile), top), factor));
                };
                int pair = 0;
                for (; pair < skip / 2; ++pair)
                    Isa::storePair(p + pair * kTile, none, none);
                if (skip % 2 > 0) {
                    const Vec e = count > skip ? exponential(skip) : none;
                    sum = Isa::add(sum, e);
                    Isa::storePair(p + pair * kTile, none, e);
                    ++pair;
                }
                for (; 2 * pair + 1 < count; ++pair) {
                    const Vec e0 = exponential(2 * pair);
                    const Vec e1 = exponential(2 * pair + 1);
                    sum = Isa::add(sum, e0);
                    odd = Isa::add(odd, e1);
                    Isa::storePair(p + pair * kTile, e0, e1);
                }
                if (2 * pair < count) {
                    const Vec e = exponential(2 * pair);
                    sum = Isa::add(sum, e);
                    Isa::storePair(p + pair * kTile, e, none);
                    ++pair;
                }
                for (; 2 * pair % kKeyGroup > 0; ++pair)
                    Isa::storePair(p + pair * kTile, none, none);
                sum = Isa::add(sum, odd);
            }
            Isa::store(sums + j * kLanes, sum);
        }
    }

    /// O[d][query] = O * rescale + sum_key V[key][d] P[key][query]
    static void valueTile(const float* probabilities, const std::uint32_t* values, int headDim, int keyUnits,
                          const Vec* rescale, float* out) {
        for (int d = 0; d < headDim; d += kRows) {
            Vec acc[kRows][kVectors];
            float* row = out + d * kTile;
#pragma GCC unroll 16
            for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
                for (int j = 0; j < kVectors; ++j)
                    acc[i][j] = Isa::mul(Isa::load(row + i * kTile + j * kLanes), rescale[j]);
            const float* p = probabilities;
            const std::uint32_t* v = values + d;
            for (int key = 0; key < keyUnits; ++key, p += kTile, v += headDim) {
                Unit a[kVectors];
#pragma GCC unroll 4
                for (int j = 0; j < kVectors; ++j)
                    a[j] = Isa::loadUnits(p + j * kLanes);
#pragma GCC unroll 16
                for (int i = 0; i < kRows; ++i) {
                    const Unit b = Isa::broadcastUnit(v + i);
#pragma GCC unroll 4
                    for (int j = 0; j < kVectors; ++j)
                        acc[i][j] = Isa::multiplyAdd(acc[i][j], a[j], b);
                }
            }
#pragma GCC unroll 16
            for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
                for (int j = 0; j < kVectors; ++j)
                    Isa::store(row + i * kTile + j * kLanes, acc[i][j]);
        }
    }

    /// O[d][query] * rescale; most pieces leave the maxima, and with them O, as they were.
    static void shrink(float* out, int headDim, const Vec* rescale) {
        for (int j = 0; j < kVectors; ++j)
            if (!Isa::isOne(rescale[j]))
                for (int d = 0; d < headDim; ++d)
                    Isa::store(out + d * kTile + j * kLanes,
                               Isa::mul(Isa::load(out + d * kTile + j * kLanes), rescale[j]));
    }

    static void storeTile(const AttentionItem& item, const Scratch& s, int tile, float scale) {
        const float* out =
            s.out + static_cast<std::size_t>(tile) * static_cast<std::size_t>(item.headDim) * kTile;
        for (int j = 0; j < kVectors; ++j) {
            const int firstQuery = tile * kTile + j * kLanes;
            float inverse[kLanes];
            for (int i = 0; i < kLanes; ++i) {
                const float sum = s.sums[firstQuery + i];
                inverse[i] = item.pieceCount == 0 ? 0.0F : 1.0F / sum;
                if (item.logSumExp && firstQuery + i < item.queries)
                    item.logSumExp[firstQuery + i] =
                        item.pieceCount == 0 ? -__builtin_inff()
                                             : s.maxima[firstQuery + i] * scale + __builtin_logf(sum);
            }
            const Vec factor = Isa::load(inverse);
            for (int d = 0; d < item.headDim; d += kLanes) {
                const int columns = item.headDim - d < kLanes ? item.headDim - d : kLanes;
                Vec block[kLanes];
                for (int i = 0; i < kLanes; ++i)
                    block[i] = i < columns ? Isa::mul(Isa::load(out + (d + i) * kTile + j * kLanes), factor)
                                           : Isa::zero();
                Isa::transpose(block);
                for (int i = 0; i < kLanes && firstQuery + i < item.queries; ++i) {
                    const std::int64_t at = (firstQuery + i) * item.outStride + d;
                    if (item.halfStorage)
                        Isa::storeHalf(static_cast<std::uint16_t*>(item.out) + at, block[i], columns);
                    else
                        Isa::storeSome(static_cast<float*>(item.out) + at, block[i], columns);
                }
            }
        }
    }

    static constexpr int kMaxRowUnits =
        512 + kLanes; ///< float32 rows of kMaxAttentionHeadDim, and a last group that reads past them
};

template <class Isa>
constexpr AttentionKernels makeKernels() {
    using Tile = AttentionTile<Isa>;
    return {Isa::kStep == 2, &Tile::scratchBytes, &Tile::packKeys, &Tile::packValues, &Tile::runItem};
}

} // namespace canopy::accel::kernels
