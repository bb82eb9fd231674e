#include "support/aged_repository.h"

#include "base/error.h"
#include "base/fd.h"
#include "repo/json.h"
#include "stream/checksum.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <regex>
#include <sys/stat.h>
#include <vector>

namespace tidemark::support {

namespace {

namespace fs = std::filesystem;

std::string sha_of(std::string_view text)
{
    return base::to_hex(stream::sha256(base::as_bytes(text)));
}

std::string shifted(const std::string& text, base::Duration by)
{
    static const std::regex kTime(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)");
    std::string out;
    std::size_t from = 0;
    for (std::sregex_iterator at(text.begin(), text.end(), kTime), end; at != end; ++at) {
        auto start = static_cast<std::size_t>(at->position());
        out += text.substr(from, start - from);
        out += base::format_time(*base::parse_time(at->str()) - by);
        from = start + static_cast<std::size_t>(at->length());
    }
    return out + text.substr(from);
}

/// Every object that is named by its hash comes before those that name it.
class Ager {
public:
    explicit Ager(base::Duration by) : by_(by) {}

    void age(const fs::path& path)
    {
        struct stat info = {};
        if (::stat(path.c_str(), &info) != 0) throw base::system_error(path.string(), errno);
        auto bytes = base::read_file(path, 64U << 20);
        std::string text(base::as_text(bytes));
        if (text.starts_with("{\n")) rewrite(path, text, info.st_mode);
        using namespace std::chrono;
        auto when = nanoseconds(seconds(info.st_mtim.tv_sec)) + nanoseconds(info.st_mtim.tv_nsec) -
                    nanoseconds(by_);
        auto whole = duration_cast<seconds>(when);
        timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                             {.tv_sec = whole.count(), .tv_nsec = (when - whole).count()}};
        if (::utimensat(AT_FDCWD, path.c_str(), times, 0) != 0)
            throw base::system_error(path.string(), errno);
    }

private:
    void rewrite(const fs::path& path, const std::string& before, mode_t mode)
    {
        std::string text = shifted(before, by_);
        for (auto at = text.find("\"sha256\": \""); at != std::string::npos;
             at = text.find("\"sha256\": \"", at + 1)) {
            auto hash = text.substr(at + 11, 64);
            if (auto known = renamed_.find(hash); known != renamed_.end())
                text.replace(at + 11, 64, known->second);
        }
        text.replace(text.size() - repo::kCheckFromEnd, 64, repo::json_check(base::as_bytes(text)));
        renamed_.emplace(sha_of(before), sha_of(text));
        fs::remove(path);
        std::ofstream(path, std::ios::binary) << text;
        fs::permissions(path, static_cast<fs::perms>(mode & 0777U));
    }

    base::Duration by_;
    std::map<std::string, std::string> renamed_;
};

} // namespace

void age_repository(const fs::path& folder, base::Duration by,
                    const std::function<bool(const std::string& key)>& fresh)
{
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder / "groups"))
        if (entry.is_regular_file()) files.push_back(entry.path());
    std::sort(files.begin(), files.end()); // numbers ascend in the names of one sequence
    Ager ager(by);
    for (const auto& path : files)
        if (!fresh || !fresh(path.lexically_relative(folder).string())) ager.age(path);
}

} // namespace tidemark::support
