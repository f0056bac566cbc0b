// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/architecture/tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace auspex::architecture {
namespace {

namespace fs = std::filesystem;

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  EXPECT_NE(value, nullptr) << name << " is not set: run this test through ctest";
  return value == nullptr ? "" : value;
}

std::string Read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << "cannot read " << path;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The output lines of a command; a command that fails makes the test fail.
std::vector<std::string> LinesOf(const std::string& command) {
  std::vector<std::string> lines;
  FILE* pipe = ::popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr) << command;
  if (pipe == nullptr) return lines;
  std::array<char, 4096> line;
  while (std::fgets(line.data(), static_cast<int>(line.size()), pipe) != nullptr) {
    lines.emplace_back(line.data());
    while (!lines.back().empty() && lines.back().back() == '\n') lines.back().pop_back();
  }
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return lines;
}

std::string ProgramPath(const std::string& program) {
  return FromEnvironment("AUSPEX_BIN_DIR") + "/" + program;
}

}  // namespace

const std::vector<std::string>& CodeFolders() {
  static const auto* folders = new std::vector<std::string>{
      "common", "keyd", "stated", "netd", "runnerd", "coordd", "cli", "examples", "tests", "bench"};
  return *folders;
}

std::vector<Source> Sources(const std::vector<std::string>& suffixes) {
  const fs::path root = FromEnvironment("AUSPEX_SOURCE_DIR");
  std::vector<Source> sources;
  for (const std::string& folder : CodeFolders()) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string name = entry.path().filename().string();
      const bool wanted = std::any_of(suffixes.begin(), suffixes.end(),
                                      [&](const std::string& s) { return name.ends_with(s); });
      if (!entry.is_regular_file() || !wanted) continue;
      sources.push_back({fs::relative(entry.path(), root).string(), Read(entry.path())});
    }
  }
  std::sort(sources.begin(), sources.end(),
            [](const Source& a, const Source& b) { return a.path < b.path; });
  return sources;
}

std::set<std::string> LinkInputs(const std::string& program) {
  std::istringstream ninja(Read(fs::path(FromEnvironment("AUSPEX_BUILD_DIR")) / "build.ninja"));
  const std::string head = "build bin/" + program + ": CXX_EXECUTABLE_LINKER";
  std::set<std::string> inputs;
  bool inside = false;
  for (std::string line; std::getline(ninja, line);) {
    if (line.starts_with("build ")) inside = line.starts_with(head);
    const size_t at = inside ? line.find("LINK_LIBRARIES = ") : std::string::npos;
    if (at == std::string::npos) continue;
    std::istringstream words(line.substr(line.find('=') + 1));
    for (std::string word; words >> word;) {
      if (word.starts_with("-Wl,")) continue;
      inputs.insert(fs::path(word).filename().string());
    }
  }
  return inputs;
}

std::set<std::string> Needed(const std::string& program) {
  std::set<std::string> names;
  for (const std::string& line : LinesOf("readelf -d '" + ProgramPath(program) + "'")) {
    const size_t open = line.find('[');
    if (line.find("(NEEDED)") == std::string::npos || open == std::string::npos) continue;
    names.insert(line.substr(open + 1, line.find(']') - open - 1));
  }
  return names;
}

std::set<std::string> NeededInAll(const std::string& program) {
  std::set<std::string> names;
  for (const std::string& line : LinesOf("ldd '" + ProgramPath(program) + "'")) {
    std::string name;
    std::istringstream(line) >> name;
    names.insert(fs::path(name).filename().string());
  }
  return names;
}

std::set<std::string> BeginningWith(const std::set<std::string>& names,
                                    const std::vector<std::string>& prefixes) {
  std::set<std::string> found;
  for (const std::string& name : names) {
    for (const std::string& prefix : prefixes) {
      if (name.starts_with(prefix)) found.insert(name);
    }
  }
  return found;
}

}  // namespace auspex::architecture
