#include "engine/postgres/tar_reader.h"

#include "base/error.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <string_view>

namespace tidemark::engine::postgres {

namespace {

constexpr std::size_t kExtendedLimit = 64U << 10;
constexpr std::uint64_t kSizeLimit = 1ULL << 62;

std::string_view field(const std::byte* header, std::size_t at, std::size_t size)
{
    std::string_view text{reinterpret_cast<const char*>(header) + at, size};
    return text.substr(0, std::min(text.find('\0'), text.size()));
}

/// Octal digits, or base 256 when the first bit is set.
std::optional<std::uint64_t> number(const std::byte* header, std::size_t at, std::size_t size)
{
    const auto* bytes = reinterpret_cast<const unsigned char*>(header) + at;
    std::uint64_t value = 0;
    if ((bytes[0] & 0x80U) != 0) {
        if (bytes[0] != 0x80U) return std::nullopt; // negative, or wider than we accept
        for (std::size_t i = 1; i < size; ++i) {
            if (value >= (1ULL << 55)) return std::nullopt;
            value = value << 8 | bytes[i];
        }
        return value;
    }
    auto text = field(header, at, size);
    while (text.starts_with(' '))
        text.remove_prefix(1);
    while (text.ends_with(' '))
        text.remove_suffix(1);
    if (text.empty()) return 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

bool checksum_ok(const std::byte* header)
{
    auto stored = number(header, 148, 8);
    if (!stored) return false;
    std::uint64_t sum = 8UL * ' ';
    for (std::size_t i = 0; i < 512; ++i) {
        if (i < 148 || i >= 156) sum += std::to_integer<unsigned>(header[i]);
    }
    return sum == *stored;
}

/// The path without "." and empty parts; empty when it leaves its root.
std::optional<std::string> clean_path(std::string_view path)
{
    if (path.starts_with('/') || path.find('\0') != std::string_view::npos) return std::nullopt;
    std::string out;
    while (!path.empty()) {
        auto part = path.substr(0, path.find('/'));
        path.remove_prefix(std::min(path.size(), part.size() + 1));
        if (part.empty() || part == ".") continue;
        if (part == "..") return std::nullopt;
        if (!out.empty()) out += '/';
        out += part;
    }
    return out;
}

std::optional<std::uint64_t> decimal(std::string_view text)
{
    std::uint64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

} // namespace

void TarReader::fail(const std::string& why) const
{
    throw base::Error{
        base::Code::failed,
        fmt::format("the base backup's tar stream is broken at byte {}: {}", position_, why)};
}

void TarReader::feed(base::ByteView bytes)
{
    while (!bytes.empty()) {
        std::size_t used = 0;
        switch (part_) {
        case Part::header:
            used = take_header(bytes);
            break;
        case Part::body:
        case Part::extended:
            used = take_body(bytes);
            break;
        case Part::padding:
            used = std::min(padding_, bytes.size());
            padding_ -= used;
            if (padding_ == 0) part_ = Part::header;
            break;
        case Part::after_end:
            used = bytes.size();
            break;
        }
        position_ += used;
        bytes = bytes.subspan(used);
    }
}

void TarReader::finish()
{
    if (part_ == Part::after_end) return;
    if (part_ != Part::header || header_filled_ != 0 || next_.path || next_.link || next_.size) {
        fail("it ends inside an entry");
    }
}

std::size_t TarReader::take_header(base::ByteView bytes)
{
    std::size_t used = std::min(kBlock - header_filled_, bytes.size());
    std::memcpy(header_.data() + header_filled_, bytes.data(), used);
    header_filled_ += used;
    if (header_filled_ == kBlock) {
        header_filled_ = 0;
        read_header();
    }
    return used;
}

std::size_t TarReader::take_body(base::ByteView bytes)
{
    auto left = body_size_ - body_done_;
    auto used = static_cast<std::size_t>(std::min<std::uint64_t>(left, bytes.size()));
    auto piece = bytes.first(used);
    if (part_ == Part::extended) {
        extended_.append(base::as_text(piece));
    } else if (in_file_) {
        handler_.data(body_done_, piece);
    }
    body_done_ += used;
    if (body_done_ == body_size_) {
        bool extended = part_ == Part::extended;
        begin_padding(body_size_);
        if (extended) {
            end_extended();
        } else if (in_file_) {
            handler_.end_of_entry();
        }
    }
    return used;
}

void TarReader::begin_padding(std::uint64_t size)
{
    padding_ = static_cast<std::size_t>((kBlock - size % kBlock) % kBlock);
    part_ = padding_ == 0 ? Part::header : Part::padding;
}

void TarReader::read_header()
{
    if (std::all_of(header_.begin(), header_.end(),
                    [](std::byte b) { return b == std::byte{0}; })) {
        if (++zero_blocks_ == 2) part_ = Part::after_end;
        return;
    }
    if (zero_blocks_ != 0) fail("an entry follows a zero block");
    if (!checksum_ok(header_.data())) fail("a header has a wrong checksum");

    const std::byte* header = header_.data();
    char type = static_cast<char>(header[156]);
    auto size = number(header, 124, 12);
    auto mode = number(header, 100, 8);
    auto modified = number(header, 136, 12);
    if (!size || *size > kSizeLimit || !mode || !modified || *modified > (1ULL << 40)) {
        fail("a header holds an impossible number");
    }
    if (type == 'x' || type == 'g' || type == 'L' || type == 'K')
        return begin_extended(type, *size);

    std::string path{field(header, 0, 100)};
    if (std::memcmp(header + 257, "ustar", 5) == 0 && header[262] == std::byte{0}) {
        // GNU tar ("ustar  ") keeps other things where POSIX has the prefix.
        auto prefix = field(header, 345, 155);
        if (!prefix.empty()) path = std::string(prefix) + "/" + path;
    }
    auto clean = clean_path(next_.path.value_or(path));
    if (!clean) fail(fmt::format("the name \"{}\" leads out of the backup", path));
    TarEntry entry;
    entry.path = *clean;
    entry.link = next_.link.value_or(std::string(field(header, 157, 100)));
    entry.size = next_.size.value_or(*size);
    entry.mode = static_cast<std::uint32_t>(*mode & 07777U);
    entry.modified = base::Time{std::chrono::seconds{*modified}};
    next_ = {};
    switch (type) {
    case '0':
    case '\0':
        entry.type = TarEntry::Type::file;
        break;
    case '2':
        entry.type = TarEntry::Type::symlink;
        break;
    case '5':
        entry.type = TarEntry::Type::directory;
        break;
    default:
        fail(fmt::format("entry \"{}\" has the unknown type {}", entry.path, int{type}));
    }
    in_file_ = entry.type == TarEntry::Type::file;
    body_size_ = in_file_ ? entry.size : 0;
    body_done_ = 0;
    handler_.entry(entry);
    if (body_size_ != 0) {
        part_ = Part::body;
    } else {
        part_ = Part::header;
        if (in_file_) handler_.end_of_entry();
    }
}

void TarReader::begin_extended(char type, std::uint64_t size)
{
    if (size == 0 || size > kExtendedLimit) fail("an extended header is too large");
    extended_type_ = type;
    extended_.clear();
    body_size_ = size;
    body_done_ = 0;
    part_ = Part::extended;
}

void TarReader::end_extended()
{
    std::string_view text = extended_;
    switch (extended_type_) {
    case 'L':
        next_.path = std::string(text.substr(0, text.find('\0')));
        break;
    case 'K':
        next_.link = std::string(text.substr(0, text.find('\0')));
        break;
    case 'x':
        read_pax(text);
        break;
    default:
        break; // 'g': nothing in it concerns us
    }
}

/// Records "LENGTH KEY=VALUE\n", LENGTH counting all of it (POSIX.1-2001, pax).
void TarReader::read_pax(std::string_view text)
{
    while (!text.empty()) {
        auto blank = text.find(' ');
        auto length = decimal(text.substr(0, std::min(blank, text.size())));
        if (blank == std::string_view::npos || !length || *length > text.size() ||
            *length < blank + 3 || text[*length - 1] != '\n') {
            fail("a pax record is malformed");
        }
        auto record = text.substr(blank + 1, *length - blank - 2);
        text.remove_prefix(*length);
        auto equals = record.find('=');
        if (equals == std::string_view::npos) fail("a pax record has no value");
        auto key = record.substr(0, equals);
        auto value = record.substr(equals + 1);
        if (key == "path") next_.path = std::string(value);
        if (key == "linkpath") next_.link = std::string(value);
        if (key == "size") {
            next_.size = decimal(value);
            if (!next_.size || *next_.size > kSizeLimit) fail("a pax size is impossible");
        }
    }
}

} // namespace tidemark::engine::postgres
