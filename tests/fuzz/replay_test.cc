// SPDX-License-Identifier: AGPL-3.0-only
// Runs every file of a fuzz target's corpus through it, as an ordinary test: what a fuzzer once
// found stays found. A broken property ends the process with its line.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

void RunOne(const std::string& octets) {
  EXPECT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(octets.data()), octets.size()),
            0);
}

TEST(FuzzReplay, EveryInputOfTheCorpusKeepsTheProperties) {
  const char* root = std::getenv("AUSPEX_SOURCE_DIR");
  const std::filesystem::path folder = std::filesystem::path(root == nullptr ? "." : root) /
                                       "tests/fuzz/corpus" / AUSPEX_FUZZ_TARGET;
  ASSERT_TRUE(std::filesystem::is_directory(folder)) << folder;
  std::set<std::filesystem::path> files;  // in order of their names
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.insert(entry.path());
  ASSERT_GE(files.size(), 5u) << folder << " has too few inputs to mean anything";
  for (const auto& path : files) {
    SCOPED_TRACE(path.filename().string());
    std::ifstream in(path, std::ios::binary);
    const std::string octets((std::istreambuf_iterator<char>(in)), {});
    RunOne(octets);
    // Neighbours of the input, which a fuzzer would try first: cut short, and with one octet
    // changed at a few places.
    for (size_t at = 0; at < octets.size(); at += octets.size() / 24 + 1) {
      RunOne(octets.substr(0, at));
      std::string changed = octets;
      changed[at] = static_cast<char>(changed[at] ^ 0x55);
      RunOne(changed);
    }
  }
}

}  // namespace
