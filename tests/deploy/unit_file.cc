// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/deploy/unit_file.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "tests/e2e/harness.h"

namespace auspex::deploy {
namespace {

constexpr char kAnalyze[] = "/usr/bin/systemd-analyze";
constexpr int kLinesThatAReasonCovers = 4;

// The calls of a group, those of groups in it included.
std::set<std::string> Group(const std::string& name) {
  std::set<std::string> calls;
  std::istringstream lines(e2e::RunCommand({kAnalyze, "syscall-filter", name}).out);
  for (std::string word; std::getline(lines, word);) {
    const size_t begin = word.find_first_not_of(' ');
    if (begin == std::string::npos || begin == 0) continue;
    word = word.substr(begin);
    if (word.starts_with("#")) continue;
    if (word.starts_with("@")) {
      calls.merge(Group(word));
    } else {
      calls.insert(word);
    }
  }
  return calls;
}

}  // namespace

std::string DeployFile(const std::string& name) {
  const char* root = std::getenv("AUSPEX_SOURCE_DIR");
  return std::string(root == nullptr ? "." : root) + "/deploy/" + name;
}

std::vector<std::string> UnitNames(const std::string& ending) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(DeployFile("systemd"), none)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(ending)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool HasSystemdAnalyze() { return ::access(kAnalyze, X_OK) == 0; }

UnitFile::UnitFile(const std::string& name) {
  std::istringstream text(e2e::ReadText(DeployFile("systemd/" + name)));
  std::string section;
  int covered = 0;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("#")) {
      covered = kLinesThatAReasonCovers;
    } else if (line.starts_with("[")) {
      section = line.substr(1, line.find(']') - 1);
      covered = 0;
    } else if (const size_t equals = line.find('='); equals != std::string::npos) {
      lines_.push_back({section, line.substr(0, equals), line.substr(equals + 1), covered > 0});
      --covered;
    } else {
      covered = 0;
    }
  }
}

std::vector<std::string> UnitFile::All(const std::string& key) const {
  std::vector<std::string> values;
  for (const Line& line : lines_) {
    if (line.key == key) values.push_back(line.value);
  }
  return values;
}

std::string UnitFile::Value(const std::string& key) const {
  const std::vector<std::string> values = All(key);
  return values.empty() ? "" : values.back();
}

std::set<std::string> UnitFile::SystemCalls() const {
  // What an allow-list always has, so that systemd can start the program.
  std::set<std::string> calls = Group("@default");
  for (std::string words : All("SystemCallFilter")) {
    const bool takes_away = words.starts_with("~");
    std::istringstream list(takes_away ? words.substr(1) : words);
    for (std::string word; list >> word;) {
      const std::set<std::string> named =
          word.starts_with("@") ? Group(word) : std::set<std::string>{word};
      for (const std::string& call : named) {
        if (takes_away) {
          calls.erase(call);
        } else {
          calls.insert(call);
        }
      }
    }
  }
  return calls;
}

}  // namespace auspex::deploy
