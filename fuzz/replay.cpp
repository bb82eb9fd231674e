#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

/// Runs a fuzz target without a fuzzer: each seed as it is, then mutations of them from a fixed
/// seed. What the fuzzer found once and is kept as a seed stays found.
///
///   NAME_fuzz_replay SEEDS [MUTATIONS [SEED]]

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;
using Input = std::vector<std::uint8_t>;

std::vector<Input> read_seeds(const fs::path& folder)
{
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(folder))
        if (entry.is_regular_file()) paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    std::vector<Input> seeds;
    for (const auto& path : paths) {
        std::ifstream in(path, std::ios::binary);
        seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
    return seeds;
}

class Mutator {
public:
    explicit Mutator(std::uint32_t seed) : random_(seed) {}

    Input mutate(const std::vector<Input>& seeds)
    {
        Input input = seeds[below(seeds.size())];
        for (std::size_t edits = 1 + below(4); edits > 0; --edits)
            edit(input, seeds);
        return input;
    }

private:
    std::size_t below(std::size_t bound) { return random_() % bound; }

    void edit(Input& input, const std::vector<Input>& seeds)
    {
        if (input.empty()) {
            input.push_back(static_cast<std::uint8_t>(random_()));
            return;
        }
        std::size_t at = below(input.size());
        auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
        switch (below(6)) {
        case 0:
            input[at] = static_cast<std::uint8_t>(input[at] ^ (1U << below(8)));
            break;
        case 1:
            input[at] = static_cast<std::uint8_t>(random_());
            break;
        case 2: { // an integer that matters: 0, 1, the largest ones
            constexpr std::uint8_t kEdges[] = {0, 1, 0x7F, 0x80, 0xFF};
            std::size_t width =
                std::min<std::size_t>(std::size_t{1} << below(4), input.size() - at);
            std::fill_n(place, width, kEdges[below(std::size(kEdges))]);
            break;
        }
        case 3:
            input.resize(at);
            break;
        case 4:
            input.erase(place, place + static_cast<std::ptrdiff_t>(std::min<std::size_t>(
                                           1 + below(16), input.size() - at)));
            break;
        default: { // a part of another seed in its place
            const Input& other = seeds[below(seeds.size())];
            if (other.empty()) break;
            std::size_t from = below(other.size());
            std::size_t count = std::min({1 + below(64), other.size() - from, input.size() - at});
            std::copy_n(other.begin() + static_cast<std::ptrdiff_t>(from), count, place);
        }
        }
    }

    std::mt19937 random_;
};

} // namespace

int main(int argc, char** argv)
{
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s SEEDS [MUTATIONS [SEED]]\n", argv[0]);
        return 2;
    }
    auto seeds = read_seeds(argv[1]);
    auto mutations = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 3000;
    auto seed = static_cast<std::uint32_t>(argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 1);
    if (seeds.empty()) {
        std::fprintf(stderr, "no seeds in %s\n", argv[1]);
        return 1;
    }
    for (const Input& input : seeds)
        LLVMFuzzerTestOneInput(input.data(), input.size());
    Mutator mutator(seed);
    for (unsigned long i = 0; i < mutations; ++i) {
        Input input = mutator.mutate(seeds);
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
    std::printf("%zu seeds and %lu mutations of them (seed %u)\n", seeds.size(), mutations, seed);
    return 0;
}
