// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/runnerd/fixture.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "common/base/cat.h"
#include "common/crypto/sha256.h"
#include "common/files/files.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "common/wire/manifest.h"
#include "runnerd/probe.h"
#include "tests/support/pace.h"

namespace auspex::runnerd {

ScratchFolder::ScratchFolder() {
  char path[] = "/tmp/auspex-runnerd-test-XXXXXX";
  if (mkdtemp(path) == nullptr) std::abort();
  path_ = path;
}
ScratchFolder::~ScratchFolder() { (void)RemoveTree(path_); }

std::string ScratchFolder::Write(const std::string& relative, const std::string& content,
                                 int mode) const {
  const std::string path = Cat(path_, "/", relative);
  for (size_t at = path_.size() + 1; (at = path.find('/', at)) != std::string::npos; ++at)
    mkdir(path.substr(0, at).c_str(), 0755);
  std::ofstream(path, std::ios::binary) << content;
  chmod(path.c_str(), static_cast<mode_t>(mode));
  return path;
}

std::string BinDir() {
  const char* folder = std::getenv("AUSPEX_BIN_DIR");
  return folder == nullptr ? "AUSPEX_BIN_DIR-is-not-set" : folder;
}
std::string TenantPath() { return AUSPEX_TEST_TENANT; }

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Tar(const std::vector<TarMember>& members, bool end) {
  std::string archive;
  for (const TarMember& member : members) {
    char header[512] = {};
    snprintf(header, 100, "%s", member.path.c_str());
    snprintf(header + 100, 8, "%07o", static_cast<unsigned>(member.mode) & 07777777U);
    snprintf(header + 108, 8, "%07o", 0U);
    snprintf(header + 116, 8, "%07o", 0U);
    snprintf(header + 124, 12, "%011llo", static_cast<unsigned long long>(member.content.size()));
    snprintf(header + 136, 12, "%011o", 0U);
    header[156] = member.type;
    snprintf(header + 157, 100, "%s", member.link.c_str());
    memcpy(header + 257, "ustar\00000", 8);
    memset(header + 148, ' ', 8);
    unsigned sum = 0;
    for (char c : header) sum += static_cast<unsigned char>(c);
    snprintf(header + 148, 8, "%06o", sum);
    archive.append(header, sizeof header);
    archive += member.content;
    archive.append((512 - member.content.size() % 512) % 512, '\0');
  }
  if (end) archive.append(1024, '\0');
  return archive;
}

std::string Gzip(const std::string& octets) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, octets.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(octets.data()));
  stream.avail_in = static_cast<uInt>(octets.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

BuiltPackage BuildPackage(const std::vector<std::string>& command,
                          const std::map<std::string, std::string>& files,
                          const std::string& extra_members, bool pin) {
  std::map<std::string, std::string> digests;
  BuiltPackage package;
  for (const auto& [path, content] : files) {
    digests[path] = Sha256HexOf(content);
    package.members.push_back({path, content, '0', 0755, ""});
  }
  JsonArray words;
  for (const std::string& word : command) words.emplace_back(word);
  package.manifest =
      Cat("{\"tenant_id\":\"test-lab\",\"experiment_id\":\"some-experiment\",\"executor\":{"
          "\"command\":",
          WriteCanonical(JsonValue(std::move(words))),
          pin ? Cat(",\"package_sha256\":\"", PackageDigest(digests).str(), "\"") : std::string(),
          "}", extra_members, "}");
  package.sha256 = ManifestSha256(*ReadJson(package.manifest)).str();
  package.members.insert(package.members.begin(),
                         {"manifest.json", package.manifest, '0', 0644, ""});
  return package;
}

absl::Status FakeArchives::Fetch(const Sha256Hex& manifest_sha256, int fd, RunControl&) {
  ++fetches;
  if (on_fetch) on_fetch();
  auto archive = archives.find(manifest_sha256.str());
  if (archive == archives.end()) return absl::NotFoundError("stated.GetPackage: package_not_found");
  return WriteAll(fd, archive->second, "spool");
}

void PipelineTest::SetUp() { Prepare(BinDir()); }

void PipelineTest::Prepare(const std::string& program_dir) {
  SandboxHost::Options options;
  options.state_dir = folder_.path();
  options.program_dir = program_dir;
  host_.reset();
  cgroups_.reset();
  cgroups_ = CgroupTree::Open(folder_.path());
  options.cgroups = cgroups_.get();
  absl::StatusOr<SandboxHost> host = SandboxHost::Prepare(options);
  ASSERT_TRUE(host.ok()) << host.status();
  host_ = std::make_unique<SandboxHost>(*std::move(host));
  thermal_ =
      std::make_unique<ThermalGovernor>(ThermalThresholds{}, Cat(folder_.path(), "/thermal"));
  isolation_ = std::make_unique<Isolation>([this] { return RunProbe(*host_); });
  auto packages = PackageStore::Open(folder_.path(), *host_, archives_);
  ASSERT_TRUE(packages.ok()) << packages.status();
  packages_ = *std::move(packages);
  config_.execution_policy = ExecutionPolicy::kProvisioned;
  config_.provisioning_dir = Cat(folder_.path(), "/staged");
  config_.runner_timeout_seconds = 10 * TestPace();
  config_.memory_max_mb = 1024;
  pipeline_ = std::make_unique<UnitPipeline>(UnitPipeline::Parts{*host_, [this] { return config_; },
                                                                 *thermal_, *isolation_, *packages_,
                                                                 signer_, Clock::System()});
}

Unit PipelineTest::MakeUnit(const std::string& manifest_sha256, const std::string& payload) {
  return Unit{*AssignmentId::Parse("asg-1"),
              *UnitId::Parse("unit-1"),
              *TenantId::Parse("test-lab"),
              *ExperimentLabel::Parse("some-experiment"),
              *Sha256Hex::Parse(manifest_sha256),
              "2026-07-19T12:00:00+00:00",
              payload,
              false};
}

std::string PipelineTest::StageTenant(const std::vector<std::string>& mode_and_argument,
                                      const std::string& extra_members) {
  std::vector<std::string> command{"./tenant"};
  command.insert(command.end(), mode_and_argument.begin(), mode_and_argument.end());
  const BuiltPackage package =
      BuildPackage(command, {{"tenant", ReadWhole(TenantPath())}}, extra_members);
  for (const TarMember& member : package.members) {
    folder_.Write(Cat("staged/", package.sha256, "/", member.path), member.content, member.mode);
  }
  return package.sha256;
}

UnitOutcome PipelineTest::RunTenant(const std::vector<std::string>& mode_and_argument,
                                    const std::string& extra_members) {
  return Run(MakeUnit(StageTenant(mode_and_argument, extra_members)));
}

int SandboxProcesses(const std::string& etc_folder, bool stubborn) {
  struct stat etc, info;
  if (stat(etc_folder.c_str(), &etc) != 0) return -1;
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string process = entry.path().string();
    if (stat((process + "/root/etc").c_str(), &info) != 0 || info.st_ino != etc.st_ino ||
        info.st_dev != etc.st_dev)
      continue;
    const std::string status = ReadWhole(process + "/status");
    const size_t at = status.find("SigIgn:\t");
    const bool ignores =
        at != std::string::npos &&
        (std::stoull(status.substr(at + 8, 16), nullptr, 16) >> (SIGTERM - 1) & 1) != 0;
    if (ignores || !stubborn) ++count;
  }
  return count;
}

int WaitForSandboxProcesses(const std::string& etc_folder, int wanted, bool stubborn) {
  int count = SandboxProcesses(etc_folder, stubborn);
  for (int i = 0; i < 4000 && count != wanted; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    count = SandboxProcesses(etc_folder, stubborn);
  }
  return count;
}

std::string Describe(const UnitOutcome& outcome) {
  if (const auto* refusal = std::get_if<Refusal>(&outcome))
    return Cat(RefusalWord(refusal->kind), ": ", refusal->reason);
  return std::holds_alternative<Withdrawn>(outcome) ? "withdrawn" : "completed";
}

JsonValue PayloadOf(const UnitOutcome& outcome) {
  const auto* result = std::get_if<SignedResult>(&outcome);
  if (result == nullptr) {
    ADD_FAILURE() << Describe(outcome);
    return JsonObject();  // so that looking for a member finds none, and the test goes on to say more
  }
  return *ReadJson(result->result.canonical_payload);
}

std::string TextOf(const JsonValue& payload, const std::string& name) {
  const std::string* member = payload.FindString(name);
  return member == nullptr ? "(missing)" : *member;
}

int64_t IntegerOf(const JsonValue& payload, const std::string& name) {
  const JsonValue* member = payload.Find(name);
  return member == nullptr ? -1 : member->AsInt64().value_or(-1);
}

}  // namespace auspex::runnerd
