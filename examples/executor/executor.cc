// SPDX-License-Identifier: AGPL-3.0-only
#include "examples/executor/executor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/json/canonical.h"

namespace auspex {
namespace {

constexpr int kWritten = 0;
constexpr int kComputationFailed = 1;
constexpr int kCouldNotRun = 2;
// A week: longer than any unit, short enough for alarm().
constexpr int kMaxTimeoutSeconds = 7 * 24 * 3600;

struct Flags {
  std::string input;
  std::string output;
  std::string models;
  int timeout_seconds = 600;
};

absl::StatusOr<Flags> ParseFlags(int argc, char* const* argv) {
  Flags flags;
  std::string timeout = "600";
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    std::string* const target = name == "--input"     ? &flags.input
                                : name == "--output"  ? &flags.output
                                : name == "--models"  ? &flags.models
                                : name == "--timeout" ? &timeout
                                                      : nullptr;
    if (target == nullptr) {
      return absl::InvalidArgumentError(Cat("unknown flag '", Printable(name), "'"));
    }
    if (i + 1 == argc) return absl::InvalidArgumentError(Cat(name, " needs a value"));
    *target = argv[i + 1];
  }
  for (const auto& [name, value] :
       {std::pair<std::string_view, const std::string&>{"--input", flags.input},
        {"--output", flags.output},
        {"--models", flags.models}}) {
    if (value.empty()) return absl::InvalidArgumentError(Cat(name, " is required"));
  }
  const char* const end = timeout.data() + timeout.size();
  const auto parsed = std::from_chars(timeout.data(), end, flags.timeout_seconds);
  if (parsed.ec != std::errc() || parsed.ptr != end || flags.timeout_seconds < 1 ||
      flags.timeout_seconds > kMaxTimeoutSeconds) {
    return absl::InvalidArgumentError(
        Cat("--timeout must be 1 to ", kMaxTimeoutSeconds, " whole seconds"));
  }
  struct stat models;
  if (::stat(flags.models.c_str(), &models) != 0) {
    return ErrnoStatus(errno, "--models", flags.models);
  }
  if (!S_ISDIR(models.st_mode)) return absl::InvalidArgumentError("--models is not a directory");
  return flags;
}

// The content of a file of at most kMaxInputOctets.
absl::StatusOr<std::string> ReadInput(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return ErrnoStatus(errno, "open", path);
  std::string content;
  char buffer[16 * 1024];
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "read", path);
    if (got == 0) return content;
    content.append(buffer, static_cast<size_t>(got));
    if (content.size() > kMaxInputOctets) {
      return absl::ResourceExhaustedError(
          Cat("input: ", path, " is over ", kMaxInputOctets, " octets"));
    }
  }
}

// Replaces `path` by `content` in one step. The worker reads it only after this process has ended,
// so nothing is synced.
absl::Status ReplaceOutput(const std::string& path, std::string_view content) {
  const std::string temporary = Cat(path, ".new");
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) return ErrnoStatus(errno, "create", temporary);
  while (!content.empty()) {
    const ssize_t put = ::write(fd.get(), content.data(), content.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      const int error = errno;
      ::unlink(temporary.c_str());
      return ErrnoStatus(error, "write", temporary);
    }
    content.remove_prefix(static_cast<size_t>(put));
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return ErrnoStatus(error, "rename to", path);
  }
  return absl::OkStatus();
}

int Complain(const char* program, int exit_status, const absl::Status& status) {
  const std::string message(status.message());
  std::fprintf(stderr, "%s: %s\n", program, message.c_str());
  return exit_status;
}

absl::StatusOr<ExecutorInput> LoadInput(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, ReadInput(path));
  return ParseExecutorInput(text);
}

}  // namespace

int RunExecutor(int argc, char* const* argv, Computation compute) {
  const char* const program = argc > 0 ? argv[0] : "executor";
  absl::StatusOr<Flags> flags = ParseFlags(argc, argv);
  if (!flags.ok()) return Complain(program, kCouldNotRun, flags.status());
  ::alarm(static_cast<unsigned>(flags->timeout_seconds));
  absl::StatusOr<ExecutorInput> input = LoadInput(flags->input);
  if (!input.ok()) return Complain(program, kCouldNotRun, input.status());
  absl::StatusOr<JsonObject> payload = compute(*input);
  if (!payload.ok()) return Complain(program, kComputationFailed, payload.status());

  JsonObject output;
  output["schema_version"] = "0.1";
  output["unit_id"] = input->unit_id.str();
  output["completed_at"] = FormatWireTime(Clock::System().NowMicros());
  output["exit_code"] = 0;
  output["payload"] = std::move(*payload);
  absl::Status written = ReplaceOutput(flags->output, WriteCanonical(std::move(output)));
  if (!written.ok()) return Complain(program, kCouldNotRun, written);
  return kWritten;
}

}  // namespace auspex
