#include "repo/index_codec.h"

#include "repo/format_testing.h"
#include "stream/crc32c.h"

#include <algorithm>
#include <rapidcheck/gtest.h>
#include <tuple>

namespace tidemark::repo {
namespace {

using base::Bytes;
using base::Code;
using base::Error;
using base::Time;

Time time_of(std::int64_t microseconds)
{
    return Time{base::Duration{microseconds}};
}

StoredIndex sample()
{
    StoredIndex stored;
    stored.piece_size = 4711;
    stored.piece_sha256.fill(std::byte{0x5A});
    stored.piece_key = "groups/shop/members/orders/log/00000003/x";
    model::LogIndex& index = stored.index;
    index.range = {.epoch = 3, .from = 0x3000000, .to = 0x4000000};
    index.first_record = 0x2FFFFF8;
    index.last_record_end = 0x3FFFFF0;
    index.unfinished = 0x3FFFFF0;
    index.transactions = {
        {model::EventKind::prepare, 3, 0x3000100, 0x3000200, 770, "order-123",
         time_of(1'763'821'867'123'456), 5, 10},
        {model::EventKind::commit, 3, 0x3000400, 0x3000450, 770, "", time_of(1'763'821'867'223'456),
         0, 0},
        {model::EventKind::rollback, 3, 0x3000300, 0x3000350, ~0U, std::string("b\0c", 3),
         time_of(-1), 0, 0},
    };
    index.restore_points = {{3, 0x3000500, 0x3000570, time_of(0), "m-1843"}};
    index.times = {{0x3000400, time_of(1)}, {0x3010400, time_of(2)}};
    index.notices = {{model::LogNoticeKind::custom_resource_manager, 0x3000600, "128"}};
    index.records = 100'000;
    index.commits = 999;
    index.rollbacks = 3;
    index.full_page_images = 1ULL << 40;
    return stored;
}

TEST(IndexCodecTest, ComesBack)
{
    StoredIndex stored = sample();
    EXPECT_EQ(decode_index(encode_index(stored)), stored);
    EXPECT_EQ(decode_index(encode_index({})), StoredIndex{});
}

TEST(IndexCodecTest, EveryChangeIsFound)
{
    expect_every_change_is_found(encode_index(sample()),
                                 [](const Bytes& bytes) { decode_index(bytes); });
}

TEST(IndexCodecTest, ItIsSmall)
{
    StoredIndex stored = sample();
    std::size_t before = encode_index(stored).size();
    for (int i = 0; i < 1000; ++i) {
        model::TransactionEvent event = stored.index.transactions.back();
        event.start += 300;
        event.end = event.start + 100;
        event.at += base::Duration{1000};
        event.xid = 100'000;
        event.gid = "t";
        stored.index.transactions.push_back(event);
    }
    EXPECT_LT(encode_index(stored).size() - before, 1000 * 18U);
}

/// Changes the object and makes its CRC right again: what a bad writer or an attacker would do.
Bytes resealed(Bytes bytes)
{
    bytes.resize(bytes.size() - 4);
    base::ByteWriter out;
    out.raw(bytes);
    out.u32(stream::crc32c(bytes));
    return out.take();
}

TEST(IndexCodecTest, UnknownSectionsAreLeftOutOrRefused)
{
    Bytes bytes = encode_index(sample());
    bytes.resize(bytes.size() - 4);
    for (unsigned kind : {7U, 0x8000U}) {
        base::ByteWriter out;
        out.raw(bytes);
        out.u16(static_cast<std::uint16_t>(kind));
        out.u16(0);
        out.u32(3);
        out.raw(base::as_bytes("abc"));
        out.u32(0);
        Bytes longer = out.take();
        longer[56] = std::byte{6}; // sections
        longer = resealed(std::move(longer));
        if (kind >= 0x8000) {
            EXPECT_EQ(decode_index(longer), sample());
            continue;
        }
        try {
            decode_index(longer);
            FAIL();
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::repository_newer);
        }
    }
}

TEST(IndexCodecTest, ASealedButWrongObjectIsRefusedOrReadNeverWorse)
{
    Bytes bytes = encode_index(sample());
    for (std::size_t at = 0; at + 4 < bytes.size(); ++at) {
        for (unsigned value : {0U, 1U, 0x7FU, 0x80U, 0xFFU}) {
            Bytes changed = bytes;
            changed[at] = static_cast<std::byte>(value);
            try {
                decode_index(resealed(changed));
            } catch (const Error&) {
            }
        }
    }
}

RC_GTEST_PROP(IndexCodecProperty, AnythingComesBack, ())
{
    auto u64 = rc::gen::arbitrary<std::uint64_t>();
    auto u32 = rc::gen::arbitrary<std::uint32_t>();
    auto text = rc::gen::arbitrary<std::string>();
    auto time = [] { return time_of(*rc::gen::arbitrary<std::int64_t>()); };
    StoredIndex stored;
    model::LogIndex& index = stored.index;
    index.range.epoch = *u32;
    std::tie(index.range.from, index.range.to) = std::minmax({*u64, *u64});
    if (*rc::gen::arbitrary<bool>()) index.first_record = *u64;
    if (*rc::gen::arbitrary<bool>()) index.unfinished = *u64;
    index.last_record_end = *u64;
    index.records = *u64;
    index.commits = *u64;
    for (int i = *rc::gen::inRange(0, 10); i > 0; --i) {
        auto kind = static_cast<model::EventKind>(*rc::gen::inRange(1, 4));
        index.transactions.push_back({kind, *u32, *u64, *u64, *u32, *text, time(), *u32, *u32});
        index.restore_points.push_back({*u32, *u64, *u64, time(), *text});
        index.times.push_back({*u64, time()});
        auto notice = static_cast<model::LogNoticeKind>(*rc::gen::inRange(1, 6));
        index.notices.push_back({notice, *u64, *text});
    }
    RC_ASSERT(decode_index(encode_index(stored)) == stored);
}

} // namespace
} // namespace tidemark::repo
