// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/executor_call.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/json/canonical.h"
#include "common/json/value.h"
#include "runnerd/init/protocol.h"
#include "runnerd/package_tree.h"

namespace auspex::runnerd {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kOpenFiles = 4096;
// The kernel bounds one argument (128 KiB) and bubblewrap the number of all (9000); a command that
// met those would look like a sandbox that cannot be built.
constexpr size_t kMaxCommandWords = 1024, kMaxCommandOctets = 64 * 1024;

// Scratch lives in memory, so it is a part of the unit's memory and not beside it.
uint64_t ScratchOctets(const Config& config) {
  if (config.scratch_mb) return static_cast<uint64_t>(*config.scratch_mb) * kMiB;
  return static_cast<uint64_t>(std::clamp<int64_t>(config.memory_max_mb / 4, 64, 1024)) * kMiB;
}

bool IsPackageFile(int package_fd, const std::string& path) {
  const UniqueFd file = OpenInPackage(package_fd, path);
  struct stat info;
  return file && fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace

double WallSeconds(const Config& config) { return config.runner_timeout_seconds.value_or(600); }

std::string ExecutorInput(const Unit& unit) {
  // The payload is canonical already, and the names are in order; only the texts have to be
  // written.
  return Cat("{\"created_at\":", CanonicalString(unit.created_at),
             ",\"experiment_id\":", CanonicalString(unit.experiment_label.str()),
             ",\"manifest_sha256\":", CanonicalString(unit.manifest_sha256.str()),
             ",\"payload\":", unit.canonical_payload,
             ",\"schema_version\":\"0.1\",\"tenant_id\":", CanonicalString(unit.tenant_id.str()),
             ",\"unit_id\":", CanonicalString(unit.unit_id.str()), "}");
}

absl::StatusOr<std::string> ExecutorProgram(const std::string& program, int package_fd) {
  if (program.empty() || program.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("executor.command: the program has no usable name");
  }
  if (program == "python" || program == "python3") return std::string("/usr/bin/python3");
  if (program[0] == '/') return program;
  if (Cat("/", program, "/").find("/../") != std::string::npos) {
    return absl::InvalidArgumentError(
        Cat("executor.command: '", Printable(program), "' leaves the package"));
  }
  if (program.find('/') != std::string::npos || IsPackageFile(package_fd, program)) {
    return Cat(unit_init::kPackageDir, "/", program);
  }
  return program;
}

absl::StatusOr<SandboxSpec> TenantSandbox(const Unit& unit, const Manifest& manifest,
                                          int package_fd, const Config& config) {
  using namespace unit_init;
  JsonArray words;
  for (const std::string& word : manifest.command) words.emplace_back(word);
  const std::string command = WriteCanonical(JsonValue(std::move(words)));
  if (manifest.command.size() > kMaxCommandWords || command.size() > kMaxCommandOctets) {
    return absl::InvalidArgumentError(Cat("executor.command: more than ", kMaxCommandWords,
                                          " words or ", kMaxCommandOctets, " octets"));
  }
  SandboxSpec spec;
  ASSIGN_OR_RETURN(const std::string program, ExecutorProgram(manifest.command[0], package_fd));
  const std::string seconds = Cat(static_cast<int64_t>(std::ceil(WallSeconds(config))));
  const bool limited = config.resource_limits;
  const uint64_t scratch = ScratchOctets(config);
  spec.command = {kInitPath,
                  "--run",
                  Cat(config.output_max_kb * 1024),
                  Cat(limited ? kOpenFiles : 0),
                  Cat(limited ? scratch : 0),
                  Cat(limited ? static_cast<uint64_t>(config.memory_max_mb) * kMiB : 0),
                  Cat(limited ? config.pids_max : 0),
                  Cat(limited ? config.cpu_seconds.value_or(0) : 0),
                  Cat(config.scratch_files),
                  "--",
                  program};
  spec.command.insert(spec.command.end(), manifest.command.begin() + 1, manifest.command.end());
  for (const std::string& word :
       {std::string("--input"), std::string(kInputPath), std::string("--output"),
        std::string(kOutputPath), std::string("--models"), std::string(kModelsDir),
        std::string("--timeout"), seconds}) {
    spec.command.push_back(word);
  }
  spec.environment = {{"AUSPEXAI_UNIT_ID", unit.unit_id.str()},
                      {"AUSPEXAI_MANIFEST_SHA256", unit.manifest_sha256.str()},
                      {"AUSPEXAI_OUTPUT_PATH", kOutputPath},
                      {"AUSPEXAI_EXECUTOR_COMMAND", command},
                      {"AUSPEXAI_EXECUTOR_DIR", kPackageDir}};
  if (config.runner_timeout_seconds)
    spec.environment.emplace_back("AUSPEXAI_EXECUTOR_TIMEOUT", seconds);
  if (manifest.capture_raw) spec.environment.emplace_back("AUSPEXAI_CAPTURE_RAW", "1");
  spec.working_directory = kPackageDir;
  spec.unit_octets = scratch;
  spec.package_fd = package_fd;
  return spec;
}

SandboxSpec EchoSandbox() {
  SandboxSpec spec;
  spec.command = {unit_init::kInitPath, "--echo"};
  spec.unit_octets = 0;
  spec.shm_octets = 0;
  spec.system_files = false;
  return spec;
}

}  // namespace auspex::runnerd
