#pragma once

#include "base/bytes.h"
#include "base/clock.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>

/// The tar stream of BASE_BACKUP: ustar headers as PostgreSQL writes them (names up to 99 bytes,
/// prefix field, sizes in base 256), and the pax and GNU forms of long names and sizes.
namespace tidemark::engine::postgres {

struct TarEntry {
    enum class Type : std::uint8_t { file, directory, symlink };
    Type type = Type::file;
    std::string path; ///< relative, '/'-separated, without "." and ".."
    std::string link; ///< symlink only
    std::uint64_t size = 0;
    std::uint32_t mode = 0;
    base::Time modified;
};

/// Receives what a TarReader finds, in the order of the stream.
class TarHandler {
public:
    virtual ~TarHandler() = default;
    virtual void entry(const TarEntry& entry) = 0;
    /// Bytes of the last file entry, ascending and without a gap; valid during the call.
    virtual void data(std::uint64_t offset, base::ByteView bytes) = 0;
    virtual void end_of_entry() = 0;
};

/// Pure and bounded: bytes in any portions in, entries out. Never holds more than one header and
/// 64 KiB of extended header. Nonsense is Error{failed} naming the position in the stream.
class TarReader {
public:
    explicit TarReader(TarHandler& handler) : handler_(handler) {}
    void feed(base::ByteView bytes);
    /// The stream has ended; an end inside an entry is an Error. The two zero blocks of the format
    /// may be missing (servers before 15 do not send them).
    void finish();

private:
    static constexpr std::size_t kBlock = 512;
    enum class Part : std::uint8_t { header, body, extended, padding, after_end };

    struct Overrides {
        std::optional<std::string> path;
        std::optional<std::string> link;
        std::optional<std::uint64_t> size;
    };

    std::size_t take_header(base::ByteView bytes);
    std::size_t take_body(base::ByteView bytes);
    void read_header();
    void begin_extended(char type, std::uint64_t size);
    void end_extended();
    void read_pax(std::string_view text);
    void begin_padding(std::uint64_t size);
    [[noreturn]] void fail(const std::string& why) const;

    TarHandler& handler_;
    Part part_ = Part::header;
    std::array<std::byte, kBlock> header_{};
    std::size_t header_filled_ = 0;
    std::uint64_t position_ = 0; ///< in the stream, for messages
    std::uint64_t body_size_ = 0;
    std::uint64_t body_done_ = 0;
    std::size_t padding_ = 0;
    char extended_type_ = 0;
    std::string extended_;
    Overrides next_;
    unsigned zero_blocks_ = 0;
    bool in_file_ = false;
};

} // namespace tidemark::engine::postgres
