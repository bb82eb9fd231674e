#include "engine/postgres/wal/tablespace.h"

#include "base/check.h"
#include "base/error.h"
#include "engine/postgres/wal/cursor.h"
#include "stream/crc32c.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::engine::postgres::wal {

namespace {

constexpr std::uint8_t kCreate = 0x00; // XLOG_TBLSPC_CREATE

[[noreturn]] void refuse(model::Offset start, std::string_view why)
{
    throw base::Error{base::Code::failed, fmt::format("no tablespace is created at {}: {}",
                                                      model::format_offset(start), why)};
}

/// A record's own bytes, without the page headers between them.
class Gatherer {
public:
    Gatherer(const LogIdentity& identity, model::Offset start, base::ByteView bytes)
        : identity_(identity), start_(start), at_(start), bytes_(bytes)
    {
    }

    void take(std::size_t count)
    {
        while (count > 0) {
            if (at_ % kPageSize == 0) at_ += identity_.header_size(at_);
            auto part = std::min<std::size_t>(count, kPageSize - at_ % kPageSize);
            auto from = static_cast<std::size_t>(at_ - start_);
            if (from + part > bytes_.size()) refuse(start_, "the log ends within the record");
            if (!parts_.empty() && parts_.back().at + sizes_.back() == at_) {
                sizes_.back() += part;
            } else {
                parts_.push_back({.at = at_, .bytes = {}});
                sizes_.push_back(part);
            }
            auto piece = bytes_.subspan(from, part);
            whole_.insert(whole_.end(), piece.begin(), piece.end());
            at_ += part;
            count -= part;
        }
    }

    base::Bytes& whole() { return whole_; }
    /// Each part of the record, where it lies.
    std::vector<LogPatch> patches() const
    {
        auto out = parts_;
        std::size_t from = 0;
        for (std::size_t i = 0; i < out.size(); ++i) {
            auto part = base::ByteView(whole_).subspan(from, sizes_[i]);
            out[i].bytes.assign(part.begin(), part.end());
            from += sizes_[i];
        }
        return out;
    }

private:
    const LogIdentity& identity_;
    model::Offset start_;
    model::Offset at_;
    base::ByteView bytes_;
    base::Bytes whole_;
    std::vector<LogPatch> parts_;
    std::vector<std::size_t> sizes_;
};

} // namespace

bool is_tablespace_creation(const Record& record)
{
    return record.manager == kTablespace && record.kind() == kCreate;
}

std::optional<TablespaceCreation> decode_tablespace_creation(const Record& record)
{
    Cursor cursor(record.main_data);
    TablespaceCreation creation;
    if (!cursor.read(creation.oid)) return std::nullopt;
    auto text = base::as_text(cursor.rest());
    auto end = text.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    creation.location = text.substr(0, end);
    return creation;
}

std::vector<LogPatch> keep_inside(const LogIdentity& identity, model::Offset start,
                                  base::ByteView bytes)
{
    CHECK(identity.layout != nullptr);
    Gatherer gatherer(identity, start, bytes);
    gatherer.take(kRecordHeader);
    auto length = load_record_header(gatherer.whole().data()).length;
    if (!valid_record_length(length)) refuse(start, "a record's length is impossible");
    gatherer.take(length - kRecordHeader);
    auto& whole = gatherer.whole();
    Record record;
    auto fault = parse_record(*identity.layout, whole, record);
    if (fault != Fault::none) refuse(start, "the record is broken");
    if (!is_tablespace_creation(record) || !decode_tablespace_creation(record))
        refuse(start, "another record lies there");
    auto location =
        static_cast<std::size_t>(record.main_data.data() - whole.data()) + sizeof(std::uint32_t);
    auto end =
        static_cast<std::size_t>(record.main_data.data() - whole.data()) + record.main_data.size();
    std::fill(whole.begin() + static_cast<std::ptrdiff_t>(location),
              whole.begin() + static_cast<std::ptrdiff_t>(end), std::byte{0});
    // As the server sums it: what follows the header first, then the header up to its CRC.
    auto crc = stream::crc32c(base::ByteView(whole).subspan(kRecordHeader));
    crc = stream::crc32c(base::ByteView(whole).first(kRecordCrcAt), crc);
    for (std::size_t i = 0; i < sizeof crc; ++i)
        whole[kRecordCrcAt + i] = static_cast<std::byte>(crc >> (8 * i) & 0xFFU);
    return gatherer.patches();
}

} // namespace tidemark::engine::postgres::wal
