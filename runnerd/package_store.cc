// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/package_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"
#include "common/json/reader.h"
#include "common/log/log.h"
#include "runnerd/init/protocol.h"
#include "runnerd/package_tree.h"
#include "runnerd/sandbox_arguments.h"
#include "runnerd/sandbox_run.h"

namespace auspex::runnerd {
namespace {

constexpr std::string_view kScratchPrefix = ".scratch-";
constexpr size_t kMaxRemembered = 256;
constexpr double kUnpackSeconds = 120;
constexpr uint64_t kMaxManifest = 1 << 20;

// DATA_LOSS: content that does not match its digests (marker auto_fetch_digest_mismatch);
// INVALID_ARGUMENT: content that is unsafe or unusable (no marker); anything else: not to be had
// (package_unavailable).
Refusal FetchRefusal(const absl::Status& status) {
  std::string_view marker = "package_unavailable: ";
  if (status.code() == absl::StatusCode::kDataLoss) marker = "auto_fetch_digest_mismatch: ";
  if (status.code() == absl::StatusCode::kInvalidArgument) marker = "";
  return {RefusalKind::kExecutorRefused, Cat(marker, std::string(status.message()))};
}

bool FolderExists(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PackageStore>> PackageStore::Open(const std::string& state_dir,
                                                                 const SandboxHost& host,
                                                                 ArchiveSource& source) {
  const std::string folder = Cat(state_dir, "/packages");
  RETURN_IF_ERROR(MakePrivateDirectory(folder));
  std::unique_ptr<DIR, int (*)(DIR*)> list(opendir(folder.c_str()), closedir);
  if (list == nullptr) return ErrnoStatus(errno, "list", folder);
  while (const dirent* entry = readdir(list.get())) {
    if (std::string_view(entry->d_name).starts_with(kScratchPrefix))
      RETURN_IF_ERROR(RemoveTree(Cat(folder, "/", entry->d_name)));
  }
  return std::unique_ptr<PackageStore>(new PackageStore(folder, host, source));
}

absl::StatusOr<Manifest> PackageStore::Verify(const std::string& folder, const Sha256Hex& expected,
                                              bool pin_required) {
  ASSIGN_OR_RETURN(const PackageTree tree, ListPackage(folder));
  {
    std::lock_guard lock(mutex_);
    auto known = verified_.find(folder);
    if (known != verified_.end() && known->second.fingerprint == tree.fingerprint)
      return known->second.manifest;
  }
  const absl::StatusOr<std::string> text = ReadFile(Cat(folder, "/manifest.json"), kMaxManifest);
  if (!text.ok())
    return absl::InvalidArgumentError(
        Cat("manifest.json of the package: ", std::string(text.status().message())));
  absl::StatusOr<JsonValue> json = ReadJson(*text);
  if (!json.ok() || json->as_object() == nullptr) {
    return absl::InvalidArgumentError(
        Cat("manifest.json of the package: ",
            json.ok() ? "no object" : std::string(json.status().message())));
  }
  // The hash comes before the members: what is not the manifest that was asked for is a mismatch,
  // whatever it says.
  if (Sha256Hex found = ManifestSha256(*json); found != expected) {
    return absl::DataLossError(
        Cat("manifest.json has the hash ", found.str(), ", not ", expected.str()));
  }
  ASSIGN_OR_RETURN(Manifest manifest, ParseManifest(*text));
  if (!manifest.package_sha256 && pin_required) {
    return absl::DataLossError(
        "the manifest has no executor.package_sha256, so that nothing vouches for the fetched "
        "files");
  }
  if (manifest.package_sha256) {
    ASSIGN_OR_RETURN(const Sha256Hex digest, DigestPackage(folder, tree));
    if (digest != *manifest.package_sha256) {
      return absl::DataLossError(Cat("the package has the digest ", digest.str(), ", not ",
                                     manifest.package_sha256->str()));
    }
  }
  std::lock_guard lock(mutex_);
  if (verified_.size() >= kMaxRemembered) verified_.clear();
  verified_.insert_or_assign(folder, Verified{tree.fingerprint, manifest});
  return manifest;
}

std::variant<Package, Refusal> PackageStore::Resolve(const Unit& unit, const Config& config,
                                                     RunControl& control) {
  const Sha256Hex& sha = unit.manifest_sha256;
  const std::string own = Cat(folder_, "/", sha.str()),
                    staged = Cat(config.provisioning_dir, "/", sha.str());
  if (!config.provisioning_dir.empty() && FolderExists(staged)) {
    absl::StatusOr<Manifest> manifest = Verify(staged, sha, false);
    if (manifest.ok()) return Package{staged, *std::move(manifest)};
    return Refusal{RefusalKind::kExecutorRefused,
                   Cat("staged package: ", std::string(manifest.status().message()))};
  }
  const std::shared_ptr<std::timed_mutex> once = MutexOf(sha);
  std::unique_lock fetch_lock(*once, std::defer_lock);
  // Another unit may be fetching it for minutes; this one must stay free to end.
  while (!fetch_lock.try_lock_for(std::chrono::milliseconds(20))) {
    if (control.requested())
      return FetchRefusal(absl::CancelledError("ended while another unit fetched the package"));
  }
  if (FolderExists(own)) {
    absl::StatusOr<Manifest> manifest = Verify(own, sha, true);
    if (manifest.ok()) return Package{own, *std::move(manifest)};
    // Only a fault of this host can have changed a sealed package (a crash before it was on disk, a
    // hand): it goes, and is fetched again.
    LogWarning("package_damaged",
               {{"manifest", sha.str()}, {"why", std::string(manifest.status().message())}});
    if (absl::Status removed = RemoveTree(own); !removed.ok())
      return FetchRefusal(absl::UnavailableError(removed.message()));
  }
  if (!config.auto_fetch) {
    return Refusal{RefusalKind::kExecutorRefused,
                   Cat("no provisioned executor for manifest ", sha.str(),
                       " and provisioning.auto_fetch is off")};
  }
  return FetchAndInstall(unit, control);
}

std::variant<Package, Refusal> PackageStore::FetchAndInstall(const Unit& unit,
                                                             RunControl& control) {
  const Sha256Hex& sha = unit.manifest_sha256;
  // Without a name, so that nothing of it can be left behind.
  UniqueFd archive(open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!archive) archive.Reset(memfd_create("auspex-archive", MFD_CLOEXEC));
  if (!archive) return FetchRefusal(ErrnoStatus(errno, "open", "archive spool"));
  if (absl::Status got = source_.Fetch(sha, archive.get(), control); !got.ok())
    return FetchRefusal(absl::UnavailableError(got.message()));
  lseek(archive.get(), 0, SEEK_SET);
  std::string scratch;
  {
    std::lock_guard lock(mutex_);
    scratch = Cat(folder_, "/", kScratchPrefix, next_scratch_++);
  }
  const std::string final_folder = Cat(folder_, "/", sha.str());
  auto install = [&]() -> absl::StatusOr<Manifest> {
    RETURN_IF_ERROR(MakePrivateDirectory(scratch));
    RETURN_IF_ERROR(UnpackInSandbox(archive.get(), scratch, control));
    ASSIGN_OR_RETURN(Manifest manifest, Verify(scratch, sha, true));
    RETURN_IF_ERROR(Seal(scratch, manifest));
    if (rename(scratch.c_str(), final_folder.c_str()) != 0)
      return ErrnoStatus(errno, "install", final_folder);
    RETURN_IF_ERROR(SyncDirectory(folder_));
    // Once more in its place: fills the memory of what is verified, and is what every later unit
    // does.
    return Verify(final_folder, sha, true);
  };
  absl::StatusOr<Manifest> manifest = install();
  if (!manifest.ok()) {
    (void)RemoveTree(scratch);
    // An archive that could not be unpacked here, or in time, is not a bad archive.
    if (!control.requested()) source_.Drop(sha);
    LogWarning("package_refused",
               {{"manifest", sha.str()}, {"why", std::string(manifest.status().message())}});
    return FetchRefusal(manifest.status());
  }
  source_.Drop(sha);
  LogInfo("package_installed", {{"manifest", sha.str()}});
  return Package{final_folder, *std::move(manifest)};
}

absl::Status PackageStore::UnpackInSandbox(int archive_fd, const std::string& scratch,
                                           RunControl& control) {
  SandboxSpec spec;
  spec.command = {unit_init::kUnpackPath};
  spec.unit_octets = 0;
  spec.shm_octets = 0;
  spec.system_files = false;
  spec.unpack_dir = scratch;
  RunRequest request;
  RETURN_IF_ERROR(PutIntoSandbox(host_, spec, request));
  request.input_fd = archive_fd;
  request.wall_seconds = kUnpackSeconds;
  request.max_report_octets = 4096;
  ASSIGN_OR_RETURN(const RunOutcome outcome, RunProcessTree(request, control));
  if (outcome.end != RunOutcome::End::kByItself)
    return absl::UnavailableError("unpacking the archive was cut short");
  const std::string& report = outcome.report;
  const size_t line_end = report.find('\n');
  if (!outcome.exited || outcome.exit_status != 0 || line_end == std::string::npos) {
    return absl::UnavailableError(
        Cat("auspex-unpack failed: ", Printable(outcome.stderr_tail, 300)));
  }
  const std::string_view line = std::string_view(report).substr(0, line_end);
  if (line.starts_with("ok ")) return absl::OkStatus();
  // "OUTCOME MEMBERS OCTETS WHY"
  size_t why_at = 0;
  for (int blanks = 0; blanks < 3 && why_at != std::string_view::npos; ++blanks)
    why_at = line.find(' ', why_at) + 1;
  const std::string why = Cat("archive: ", Printable(line.substr(why_at), 300));
  if (line.starts_with("unsafe ")) return absl::InvalidArgumentError(why);
  return absl::UnavailableError(why);
}

absl::Status PackageStore::Seal(const std::string& folder, const Manifest& manifest) {
  ASSIGN_OR_RETURN(const PackageTree tree, ListPackage(folder));
  for (const PackageTree::File& file : tree.files) {
    // The digest does not cover modes, so only one bit of them survives: that the owner may execute
    // it. The program that the manifest names is executable in any case.
    const bool executable = (file.info.st_mode & 0100) != 0 || file.path == manifest.command[0] ||
                            Cat("./", file.path) == manifest.command[0];
    const std::string path = Cat(folder, "/", file.path);
    if (chmod(path.c_str(), executable ? 0555 : 0444) != 0) return ErrnoStatus(errno, "seal", path);
  }
  for (const std::string& inner : tree.folders) {
    if (chmod(Cat(folder, "/", inner).c_str(), 0555) != 0) return ErrnoStatus(errno, "seal", inner);
  }
  UniqueFd root(open(folder.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
  if (!root) return ErrnoStatus(errno, "open", folder);
  // A folder must be writable by its owner to be renamed to another parent, but this one keeps its
  // parent.
  if (syncfs(root.get()) != 0 || fchmod(root.get(), 0555) != 0)
    return ErrnoStatus(errno, "seal", folder);
  return absl::OkStatus();
}

std::shared_ptr<std::timed_mutex> PackageStore::MutexOf(const Sha256Hex& manifest_sha256) {
  std::lock_guard lock(mutex_);
  std::erase_if(fetching_, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<std::timed_mutex>& slot = fetching_[manifest_sha256.str()];
  std::shared_ptr<std::timed_mutex> mutex = slot.lock();
  if (mutex == nullptr) slot = mutex = std::make_shared<std::timed_mutex>();
  return mutex;
}

}  // namespace auspex::runnerd
