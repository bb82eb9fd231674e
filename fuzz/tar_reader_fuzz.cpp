#include "base/check.h"
#include "base/error.h"
#include "engine/postgres/tar_reader.h"

#include <algorithm>

using namespace tidemark;
using engine::postgres::TarEntry;

namespace {

/// Holds the reader to its promises: clean paths, bytes in order, never more than announced.
class Judge final : public engine::postgres::TarHandler {
public:
    void entry(const TarEntry& entry) override
    {
        CHECK(!entry.path.starts_with('/'));
        CHECK(("/" + entry.path + "/").find("/../") == std::string::npos);
        size_ = entry.type == TarEntry::Type::file ? entry.size : 0;
        at_ = 0;
    }
    void data(std::uint64_t offset, base::ByteView bytes) override
    {
        CHECK(offset == at_);
        at_ += bytes.size();
        CHECK(at_ <= size_);
    }
    void end_of_entry() override { CHECK(at_ == size_); }

private:
    std::uint64_t size_ = 0;
    std::uint64_t at_ = 0;
};

/// Headers carry a checksum that chance does not find: the first byte decides whether it is mended.
void mend_headers(base::Bytes& bytes)
{
    for (std::size_t at = 0; at + 512 <= bytes.size(); at += 512) {
        auto* header = reinterpret_cast<unsigned char*>(bytes.data() + at);
        std::fill_n(header + 148, 8, static_cast<unsigned char>(' '));
        unsigned sum = 0;
        for (int i = 0; i < 512; ++i)
            sum += header[i];
        for (int i = 5; i >= 0; --i, sum /= 8)
            header[148 + i] = static_cast<unsigned char>('0' + sum % 8);
        header[154] = 0;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 2) return 0;
    base::Bytes bytes(size - 2);
    std::transform(data + 2, data + size, bytes.begin(), [](auto b) { return std::byte{b}; });
    if ((data[0] & 1) != 0) mend_headers(bytes);
    std::size_t step = 1 + std::size_t{data[1]} * 7;
    Judge judge;
    engine::postgres::TarReader reader{judge};
    try {
        for (std::size_t at = 0; at < bytes.size(); at += step) {
            reader.feed(base::ByteView(bytes).subspan(at, std::min(step, bytes.size() - at)));
        }
        reader.finish();
    } catch (const base::Error&) {
    }
    return 0;
}
