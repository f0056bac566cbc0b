// SPDX-License-Identifier: AGPL-3.0-only
// How a unit is handed to an executor: input file, command line, environment, limits (wire protocol
// section 10). Pure functions, any thread.
#ifndef AUSPEX_RUNNERD_EXECUTOR_CALL_H_
#define AUSPEX_RUNNERD_EXECUTOR_CALL_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/wire/manifest.h"
#include "runnerd/sandbox_arguments.h"
#include "runnerd/unit.h"

namespace auspex::runnerd {

// Wall clock of a unit in seconds: the owner's, or 600.
double WallSeconds(const Config& config);

// The input file: exactly schema_version "0.1", unit_id, tenant_id, experiment_id, manifest_sha256,
// created_at, payload.
std::string ExecutorInput(const Unit& unit);

// The program that executor.command[0] means inside the sandbox: python and python3 are the
// system's, an absolute path is kept, a path with a '/' or the name of a file in the package is the
// package's, anything else is searched in PATH. INVALID_ARGUMENT when it leaves the package.
// `package_fd`: the package's folder.
absl::StatusOr<std::string> ExecutorProgram(const std::string& untrusted_program, int package_fd);

// The sandbox for a tenant's executor; it borrows `package_fd`.
absl::StatusOr<SandboxSpec> TenantSandbox(const Unit& unit, const Manifest& manifest,
                                          int package_fd, const Config& config);
// The sandbox for the built-in echo executor: static, so that it needs nothing of the host.
SandboxSpec EchoSandbox();

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_EXECUTOR_CALL_H_
