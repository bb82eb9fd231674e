#include "stream/zstd.h"

#include "base/check.h"
#include "base/error.h"

#include <cstring>
#include <fmt/format.h>
#include <zstd.h>

namespace tidemark::stream {

using base::Code;
using base::Error;

namespace {

std::size_t require_zstd(std::size_t result, std::string_view doing)
{
    if (ZSTD_isError(result) != 0) {
        throw Error{Code::failed, fmt::format("zstd: {}: {}", doing, ZSTD_getErrorName(result))};
    }
    return result;
}

} // namespace

Compression compression_of_level(int level)
{
    if (level == 0) return {.codec = Codec::none, .level = 0};
    if (level < kMinLevel || level > kMaxLevel) {
        throw Error{Code::usage, fmt::format("compression level {} is outside {} to {}", level,
                                             kMinLevel, kMaxLevel)};
    }
    return {.codec = Codec::zstd, .level = level};
}

void Compressor::Free::operator()(ZSTD_CCtx_s* context) const
{
    ZSTD_freeCCtx(context);
}

Compressor::Compressor(Compression how) : how_(how)
{
    if (how_.codec == Codec::none) return;
    how_ = compression_of_level(how.level);
    if (how_.codec == Codec::none) return;
    context_.reset(ZSTD_createCCtx());
    if (!context_) throw Error{Code::failed, "zstd: no memory for a compression context"};
    require_zstd(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, how_.level),
                 "level");
    require_zstd(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_contentSizeFlag, 1), "content size");
    // The formats carry XXH3 of the plain bytes: a second checksum would only cost time.
    require_zstd(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 0), "checksum");
}

std::size_t Compressor::bound(std::size_t plain)
{
    return ZSTD_compressBound(plain);
}

Compressor::Result Compressor::compress(base::ByteView plain, base::ByteSpan into)
{
    CHECK(into.size() >= bound(plain.size()));
    if (how_.codec == Codec::none) {
        if (!plain.empty()) std::memcpy(into.data(), plain.data(), plain.size());
        return {.codec = Codec::none, .stored = plain.size()};
    }
    std::size_t stored = require_zstd(
        ZSTD_compress2(context_.get(), into.data(), into.size(), plain.data(), plain.size()),
        "compressing");
    return {.codec = Codec::zstd, .stored = stored};
}

void Decompressor::Free::operator()(ZSTD_DCtx_s* context) const
{
    ZSTD_freeDCtx(context);
}

Decompressor::Decompressor() : context_(ZSTD_createDCtx())
{
    if (!context_) throw Error{Code::failed, "zstd: no memory for a decompression context"};
}

void Decompressor::decompress(Codec codec, base::ByteView stored, base::ByteSpan into)
{
    if (codec == Codec::none) {
        if (stored.size() != into.size()) {
            throw Error{Code::failed, fmt::format("holds {} bytes where {} are declared",
                                                  stored.size(), into.size())};
        }
        if (!stored.empty()) std::memcpy(into.data(), stored.data(), stored.size());
        return;
    }
    // Exactly one frame that declares exactly this size: no bomb, nothing appended, nothing
    // missing.
    auto declared = ZSTD_getFrameContentSize(stored.data(), stored.size());
    if (declared != into.size()) {
        throw Error{Code::failed,
                    fmt::format("the zstd frame does not declare {} plain bytes", into.size())};
    }
    std::size_t length =
        require_zstd(ZSTD_findFrameCompressedSize(stored.data(), stored.size()), "frame");
    if (length != stored.size()) {
        throw Error{Code::failed,
                    fmt::format("the zstd frame ends at byte {} of {}", length, stored.size())};
    }
    std::size_t got = require_zstd(
        ZSTD_decompressDCtx(context_.get(), into.data(), into.size(), stored.data(), stored.size()),
        "decompressing");
    if (got != into.size()) {
        throw Error{Code::failed,
                    fmt::format("{} plain bytes where {} are declared", got, into.size())};
    }
}

} // namespace tidemark::stream
