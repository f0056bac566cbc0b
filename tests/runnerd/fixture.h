// SPDX-License-Identifier: AGPL-3.0-only
// What runnerd's tests share: a scratch folder, a prepared SandboxHost, staged packages around the
// test tenant, a pipeline with a fake signer.
#ifndef AUSPEX_TESTS_RUNNERD_FIXTURE_H_
#define AUSPEX_TESTS_RUNNERD_FIXTURE_H_

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/json/value.h"
#include "runnerd/isolation.h"
#include "runnerd/package_store.h"
#include "runnerd/sandbox_host.h"
#include "runnerd/thermal.h"
#include "runnerd/unit.h"
#include "runnerd/unit_pipeline.h"

namespace auspex::runnerd {

// A private folder that goes with the object.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  const std::string& path() const { return path_; }
  // Writes a file below it, folders made as needed; returns its path.
  std::string Write(const std::string& relative, const std::string& content, int mode = 0644) const;

 private:
  std::string path_;
};

std::string BinDir();      // where our programs were built
std::string TenantPath();  // the test tenant
std::string ReadWhole(const std::string& path);

// One member of an archive that a test composes.
struct TarMember {
  std::string path;
  std::string content;
  char type = '0';
  int mode = 0644;
  std::string link;
};
// A ustar archive, uncompressed; `end` adds the end mark.
std::string Tar(const std::vector<TarMember>& members, bool end = true);
std::string Gzip(const std::string& octets);

// A manifest with the digest of `files` (path -> content) and the command.
struct BuiltPackage {
  std::string manifest;  // text of manifest.json
  std::string sha256;    // its hash
  std::vector<TarMember> members;
};
BuiltPackage BuildPackage(const std::vector<std::string>& command,
                          const std::map<std::string, std::string>& files,
                          const std::string& extra_members = "", bool pin = true);

// Never asked in most tests; counts what it is asked.
class FakeArchives : public ArchiveSource {
 public:
  absl::Status Fetch(const Sha256Hex& manifest_sha256, int fd, RunControl& control) override;
  void Drop(const Sha256Hex&) override { ++drops; }
  std::map<std::string, std::string> archives;
  std::function<void()> on_fetch;  // called within Fetch
  int fetches = 0, drops = 0;
};

class FakeSigner : public UnitSigner {
 public:
  absl::StatusOr<SignedResult> Sign(const Unit&, const UnitResult& result, RunControl&) override {
    SignedResult done;
    done.result = result;
    return done;
  }
};

// A whole pipeline on real sandboxes.
class PipelineTest : public testing::Test {
 protected:
  void SetUp() override;
  // Makes the parts; again, for another user or other programs.
  void Prepare(const std::string& program_dir);

  Unit MakeUnit(const std::string& manifest_sha256, const std::string& payload = "{\"n\":1}");
  // Stages a package whose executor is the test tenant in `mode`, and runs a unit of it.
  UnitOutcome RunTenant(const std::vector<std::string>& mode_and_argument,
                        const std::string& extra_members = "");
  std::string StageTenant(const std::vector<std::string>& mode_and_argument,
                          const std::string& extra_members = "");
  UnitOutcome Run(const Unit& unit) { return pipeline_->Run(unit, control_); }

  ScratchFolder folder_;
  Config config_;
  FakeArchives archives_;
  FakeSigner signer_;
  std::unique_ptr<CgroupTree> cgroups_;  // whatever this host delegates to the test
  std::unique_ptr<SandboxHost> host_;
  std::unique_ptr<ThermalGovernor> thermal_;
  std::unique_ptr<Isolation> isolation_;
  std::unique_ptr<PackageStore> packages_;
  std::unique_ptr<UnitPipeline> pipeline_;
  RunControl control_;
};

// Processes whose /etc is `etc_folder`: those of sandboxes. With `stubborn` only those that ignore
// SIGTERM. -1: no such folder.
int SandboxProcesses(const std::string& etc_folder, bool stubborn = false);
// Waits (20 s) until there are `wanted`; how many there are then.
int WaitForSandboxProcesses(const std::string& etc_folder, int wanted, bool stubborn = false);

// The refusal's "kind: reason"; "completed" or "withdrawn" otherwise.
std::string Describe(const UnitOutcome& outcome);
// The payload of a completed unit; an empty object with a test failure otherwise.
JsonValue PayloadOf(const UnitOutcome& outcome);
// A text member of it; "(missing)" when it is not there.
std::string TextOf(const JsonValue& payload, const std::string& name);
// An integer member of it; -1 when it is not there.
int64_t IntegerOf(const JsonValue& payload, const std::string& name);

}  // namespace auspex::runnerd

#endif  // AUSPEX_TESTS_RUNNERD_FIXTURE_H_
