// SPDX-License-Identifier: AGPL-3.0-only
// Properties of the command line that a manifest and a unit lead to: read as bubblewrap reads it,
// it has every wall and no other option, whatever the texts are; every word of the tenant's command
// arrives, as one word, behind the "--"; the environment has the fixed names and no other.
// Input: a manifest, one NUL, a unit's created_at, one NUL, its payload.
#include <fcntl.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "runnerd/executor_call.h"
#include "runnerd/init/protocol.h"
#include "runnerd/sandbox_arguments.h"
#include "tests/fuzz/folder.h"

namespace {

using auspex::runnerd::SandboxHost;
using auspex::runnerd::SandboxSpec;
using Words = std::vector<std::string>;

// bubblewrap's own grammar: how many words follow each option that we may use.
const std::map<std::string, size_t>& Options() {
  static const auto* options = new std::map<std::string, size_t>{{"--unshare-user", 0},
                                                                 {"--unshare-pid", 0},
                                                                 {"--unshare-net", 0},
                                                                 {"--unshare-ipc", 0},
                                                                 {"--unshare-uts", 0},
                                                                 {"--unshare-cgroup-try", 0},
                                                                 {"--disable-userns", 0},
                                                                 {"--uid", 1},
                                                                 {"--gid", 1},
                                                                 {"--hostname", 1},
                                                                 {"--die-with-parent", 0},
                                                                 {"--new-session", 0},
                                                                 {"--cap-drop", 1},
                                                                 {"--as-pid-1", 0},
                                                                 {"--seccomp", 1},
                                                                 {"--json-status-fd", 1},
                                                                 {"--ro-bind-fd", 2},
                                                                 {"--proc", 1},
                                                                 {"--remount-ro", 1},
                                                                 {"--dev", 1},
                                                                 {"--size", 1},
                                                                 {"--tmpfs", 1},
                                                                 {"--perms", 1},
                                                                 {"--dir", 1},
                                                                 {"--symlink", 2},
                                                                 {"--chdir", 1},
                                                                 {"--clearenv", 0},
                                                                 {"--setenv", 2}};
  return *options;
}

struct Line {
  Words walls;  // everything but the environment, in order
  std::map<std::string, std::string> environment;
  Words command;
};

Line ReadAsBubblewrapDoes(const Words& words) {
  Line line;
  for (size_t at = 1; at < words.size();) {
    if (words[at] == "--") {
      line.command.assign(words.begin() + static_cast<ptrdiff_t>(at) + 1, words.end());
      return line;
    }
    const auto option = Options().find(words[at]);
    FUZZ_CHECK(option != Options().end());
    FUZZ_CHECK(at + option->second < words.size());
    if (words[at] == "--setenv") {
      FUZZ_CHECK(line.environment.emplace(words[at + 1], words[at + 2]).second);
    } else {
      if (words[at] == "--clearenv") line.environment.clear();
      for (size_t i = 0; i <= option->second; ++i) line.walls.push_back(words[at + i]);
    }
    at += option->second + 1;
  }
  FUZZ_CHECK(!"a line without its --");
  return line;
}

Words Composed(const SandboxHost& host, const SandboxSpec& spec) {
  const auto words = auspex::runnerd::SandboxArguments(host, spec);
  FUZZ_CHECK(words.ok());
  for (const std::string& word : *words) FUZZ_CHECK(word.find('\0') == std::string::npos);
  return *words;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace unit_init = auspex::unit_init;
  std::string_view text = auspex::fuzz::Text(data, size);
  const size_t first = text.find('\0');
  const auto manifest = auspex::ParseManifest(text.substr(0, first));
  if (!manifest.ok()) return 0;
  text = first == std::string_view::npos ? "" : text.substr(first + 1);
  const size_t second = text.find('\0');
  const auspex::runnerd::Unit unit{*auspex::AssignmentId::Parse("asg"),
                                   *auspex::UnitId::Parse("unit"),
                                   manifest->tenant_id,
                                   manifest->experiment_id,
                                   manifest->sha256,
                                   std::string(text.substr(0, second)),
                                   "{}",
                                   false};
  static const auspex::fuzz::Folder folder;
  static const auspex::UniqueFd package(
      open(folder.path().c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
  SandboxHost host;
  host.bubblewrap = "/usr/bin/bwrap";
  host.unit_init = "/opt/init";
  host.etc_folder = "/state/etc";
  auspex::Config config;
  const auto spec = auspex::runnerd::TenantSandbox(unit, *manifest, package.get(), config);
  if (!spec.ok()) return 0;
  const Line line = ReadAsBubblewrapDoes(Composed(host, *spec));

  // The walls are those of the dullest unit there is.
  auspex::Manifest dull = *manifest;
  dull.command = {"true"};
  const auto dull_spec = auspex::runnerd::TenantSandbox(unit, dull, package.get(), config);
  FUZZ_CHECK(dull_spec.ok());
  FUZZ_CHECK(ReadAsBubblewrapDoes(Composed(host, *dull_spec)).walls == line.walls);

  std::set<std::string> names;
  for (const auto& [name, value] : line.environment) names.insert(name);
  std::set<std::string> expected = {"PATH",
                                    "LANG",
                                    "HOME",
                                    "TMPDIR",
                                    "AUSPEXAI_UNIT_ID",
                                    "AUSPEXAI_MANIFEST_SHA256",
                                    "AUSPEXAI_OUTPUT_PATH",
                                    "AUSPEXAI_EXECUTOR_COMMAND",
                                    "AUSPEXAI_EXECUTOR_DIR"};
  if (manifest->capture_raw) expected.insert("AUSPEXAI_CAPTURE_RAW");
  FUZZ_CHECK(names == expected);
  // The command that the executor is told is the manifest's.
  const auto told = auspex::ReadJson(line.environment.at("AUSPEXAI_EXECUTOR_COMMAND"));
  FUZZ_CHECK(told.ok() && told->as_array() != nullptr);
  FUZZ_CHECK(told->as_array()->size() == manifest->command.size());

  // init --run and its seven numbers, --, the program, the tenant's words, our own eight.
  constexpr size_t kNumbers = 7, kHead = kNumbers + 3, kTail = 8;
  FUZZ_CHECK(line.command.size() == kHead + manifest->command.size() + kTail);
  FUZZ_CHECK(line.command[0] == unit_init::kInitPath && line.command[1] == "--run");
  for (size_t i = 2; i < 2 + kNumbers; ++i)
    FUZZ_CHECK(!line.command[i].empty() &&
               line.command[i].find_first_not_of("0123456789") == std::string::npos);
  FUZZ_CHECK(line.command[kHead - 1] == "--");
  const std::string& program = line.command[kHead];
  FUZZ_CHECK(!program.empty());
  FUZZ_CHECK(("/" + program + "/").find("/../") == std::string::npos ||
             manifest->command[0].starts_with('/'));
  for (size_t i = 1; i < manifest->command.size(); ++i)
    FUZZ_CHECK(line.command[kHead + i] == manifest->command[i]);
  FUZZ_CHECK(line.command[kHead + manifest->command.size()] == "--input");

  // The input file is JSON with the seven members, whatever created_at is.
  if (unit.created_at.empty()) return 0;
  const auto input = auspex::ReadJson(auspex::runnerd::ExecutorInput(unit));
  FUZZ_CHECK(input.ok() && input->as_object() != nullptr && input->as_object()->size() == 7);
  return 0;
}
