// SPDX-License-Identifier: AGPL-3.0-only
// auspex-manual SOURCE BIN OUT: writes the manual pages and completion scripts of the programs in BIN into OUT. Part of the build, not
// installed. The date of the pages is SOURCE_DATE_EPOCH, where it is set, so that two builds of one source are the same.
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "cli/app.h"
#include "cli/completion.h"
#include "cli/manual/pages.h"
#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"

namespace auspex::cli::manual {
namespace {

constexpr uint64_t kMostOctets = 1024 * 1024;

struct Program {
  const char* name;
  const char* purpose;
  const char* about;
};

constexpr Program kPrograms[] = {
    {"auspex-keyd", "keeps a worker's key and signs",
     "Holds the Ed25519 key and the journal of all that was signed. It composes every message that "
     "it signs from checked fields, answers "
     "three sockets, calls nobody, opens no other kind of socket and starts no program."},
    {"auspex-stated", "keeps a worker's state",
     "Owns the database: identity, consent, units, results and refusals that wait to be sent, "
     "receipts and the audit log. It calls nobody, "
     "has no network and starts no program."},
    {"auspex-netd", "talks to the coordinator for a worker",
     "The only daemon with a network: heartbeats, polls, results, receipts. It has no state of its "
     "own, has its requests signed by "
     "`auspex-keyd` and cannot have a result signed. It starts no program."},
    {"auspex-runnerd", "runs work units in sandboxes",
     "Builds a sandbox for each unit with bubblewrap, bounds it, reads its output and has the "
     "result signed by `auspex-keyd`. It has no "
     "network. A unit whose sandbox cannot be built whole is refused with the missing layer's "
     "name."},
    {"auspex-coordd", "coordinator of an Auspex laboratory",
     "Hands units to workers, compares their results and issues receipts. It needs a folder for "
     "its state, listens on the loopback unless "
     "`--allow-remote` is given with a certificate, and is not needed by a worker of the public "
     "network."},
};

std::string Date() {
  const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
  const time_t when =
      epoch != nullptr ? static_cast<time_t>(std::atoll(epoch)) : std::time(nullptr);
  char text[16] = {};
  tm parts{};
  ::gmtime_r(&when, &parts);
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

absl::StatusOr<std::string> HelpOf(const std::string& program) {
  FILE* pipe = ::popen(Cat("exec '", program, "' --help").c_str(), "re");
  if (pipe == nullptr) return absl::InternalError(Cat(program, ": cannot be started"));
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
  if (::pclose(pipe) != 0 || text.empty())
    return absl::InternalError(Cat(program, " --help: failed"));
  // CLI11 shows the path that the program was started with.
  const std::string name = program.substr(program.rfind('/') + 1);
  for (size_t at = text.find(program); at != std::string::npos; at = text.find(program, at)) {
    text.replace(at, program.size(), name);
  }
  return text;
}

absl::Status WriteAll(const std::string& source, const std::string& bin, const std::string& out) {
  const auto write = [&out](const std::string& name, const std::string& text) {
    return WriteFileAtomically(Cat(out, "/", name), text, 0644);
  };
  const std::string date = Date();
  CLI::App app("Volunteer-compute worker for AI-safety research.", "auspex");
  Globals globals;
  Chosen chosen;
  BuildTree(app, globals, chosen);
  RETURN_IF_ERROR(write("auspex.1", CommandPage(app, date)));
  RETURN_IF_ERROR(write("auspexai-worker.1", ".so man1/auspex.1\n"));
  for (const Program& program : kPrograms) {
    ASSIGN_OR_RETURN(const std::string help, HelpOf(Cat(bin, "/", program.name)));
    RETURN_IF_ERROR(write(Cat(program.name, ".8"),
                          ProgramPage(program.name, program.purpose, program.about, help, date)));
  }
  ASSIGN_OR_RETURN(const std::string configuration,
                   ReadFile(Cat(source, "/docs/CONFIGURATION.md"), kMostOctets));
  RETURN_IF_ERROR(write("worker.toml.5", ConfigurationPage(configuration, date)));
  RETURN_IF_ERROR(write("auspex.bash", CompletionScript(app, "bash") + "\n"));
  RETURN_IF_ERROR(write("_auspex", CompletionScript(app, "zsh") + "\n"));
  return write("auspex.fish", CompletionScript(app, "fish") + "\n");
}

}  // namespace
}  // namespace auspex::cli::manual

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: auspex-manual SOURCE BIN OUT\n", stderr);
    return 2;
  }
  const absl::Status status = auspex::cli::manual::WriteAll(argv[1], argv[2], argv[3]);
  if (status.ok()) return 0;
  std::fprintf(stderr, "auspex-manual: %s\n", std::string(status.message()).c_str());
  return 1;
}
