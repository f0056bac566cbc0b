// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/package_store.h"

#include <fcntl.h>
#include <sys/mman.h>
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
#include "runnerd/package_seal.h"
#include "runnerd/package_signature.h"
#include "runnerd/package_tree.h"
#include "runnerd/sandbox_arguments.h"
#include "runnerd/sandbox_run.h"
#include "runnerd/unpack/folder_writer.h"
#include "runnerd/unpack/stream.h"

namespace auspex::runnerd {
namespace {

constexpr size_t kMaxRemembered = 256;
// Of manifests' text. What is read out of an octet takes up to 11 in memory, and a coordinator can
// hand out any number of manifests of a mebibyte.
constexpr size_t kMaxRememberedOctets = 2 << 20;
constexpr double kUnpackSeconds = 120;
// For the kernel's hold on the unpacking as a whole; what it may read and write is bounded by itself.
constexpr uint64_t kUnpackMemoryOctets = 256 << 20, kUnpackProcesses = 16;
constexpr uint64_t kMaxManifest = 1 << 20;

// DATA_LOSS: content that does not match its digests (marker auto_fetch_digest_mismatch);
// INVALID_ARGUMENT and UNAUTHENTICATED: content that is unsafe, unusable or not the tenant's (no
// marker); anything else: not to be had (package_unavailable).
Refusal FetchRefusal(const absl::Status& status) {
  std::string_view marker = "package_unavailable: ";
  if (absl::IsDataLoss(status)) marker = "auto_fetch_digest_mismatch: ";
  if (absl::IsInvalidArgument(status) || absl::IsUnauthenticated(status)) marker = "";
  return {RefusalKind::kExecutorRefused, Cat(marker, std::string(status.message()))};
}

uint64_t CapOctets(const Config& config) {
  return static_cast<uint64_t>(config.packages_max_mb) << 20;
}

// The manifest.json.sig of an unpacked or staged package; empty when there is none.
absl::StatusOr<std::string> ReadSignature(int folder) {
  absl::StatusOr<std::string> text =
      ReadInPackage(folder, "manifest.json.sig", kMaxManifestSignature);
  if (absl::IsNotFound(text.status())) return std::string();
  return text;
}

// Whether the unit's tenant signed its manifest, where the owner pinned a key of that tenant.
absl::Status CheckTenantKey(const Unit& unit, const Config& config,
                            const absl::StatusOr<std::string>& untrusted_signature) {
  const auto pinned = config.tenant_keys.find(unit.tenant_id.str());
  if (pinned == config.tenant_keys.end()) return absl::OkStatus();
  if (!untrusted_signature.ok())
    return absl::UnauthenticatedError(untrusted_signature.status().message());
  ASSIGN_OR_RETURN(const PublicKeyHex key, PublicKeyHex::Parse(pinned->second));
  return CheckManifestSignature(*untrusted_signature, unit.manifest_sha256, key);
}

}  // namespace

absl::StatusOr<std::unique_ptr<PackageStore>> PackageStore::Open(const std::string& state_dir,
                                                                 const SandboxHost& host,
                                                                 ArchiveSource& source) {
  ASSIGN_OR_RETURN(std::unique_ptr<PackageShelf> shelf, PackageShelf::Open(state_dir));
  return std::unique_ptr<PackageStore>(
      new PackageStore(std::move(shelf), Cat(state_dir, "/packages"), host, source));
}

absl::StatusOr<Manifest> PackageStore::Verify(int folder, const std::string& name,
                                              const Sha256Hex& expected, bool pin_required) {
  ASSIGN_OR_RETURN(const PackageTree tree, ListPackage(folder));
  if (!tree.changeable.empty())
    return absl::InvalidArgumentError(Cat("package: ", tree.changeable));
  {
    std::lock_guard lock(mutex_);
    auto known = verified_.find(name);
    if (known != verified_.end() && known->second.fingerprint == tree.fingerprint)
      return known->second.manifest;
  }
  const absl::StatusOr<std::string> text = ReadInPackage(folder, "manifest.json", kMaxManifest);
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
  if (verified_.size() >= kMaxRemembered ||
      remembered_octets_ + text->size() > kMaxRememberedOctets) {
    verified_.clear();
    remembered_octets_ = 0;
  }
  remembered_octets_ += text->size();  // of one that is replaced too: forgotten sooner, never later
  verified_.insert_or_assign(name, Verified{tree.fingerprint, manifest});
  return manifest;
}

std::variant<Package, Refusal> PackageStore::Resolve(const Unit& unit, const Config& config,
                                                     RunControl& control) {
  const Sha256Hex& sha = unit.manifest_sha256;
  shelf_->Collect(CapOctets(config));  // the owner may have lowered it
  if (!config.provisioning_dir.empty()) {
    const std::string path = Cat(config.provisioning_dir, "/", sha.str());
    absl::StatusOr<UniqueFd> staged = OpenPackage(path);
    if (staged.ok()) return TakeStaged(*std::move(staged), path, unit, config);
    if (!absl::IsNotFound(staged.status())) {
      return Refusal{RefusalKind::kExecutorRefused,
                     Cat("staged package: ", std::string(staged.status().message()))};
    }
  }
  const std::shared_ptr<std::timed_mutex> once = MutexOf(sha);
  std::unique_lock fetch_lock(*once, std::defer_lock);
  // Another unit may be fetching it for minutes; this one must stay free to end.
  while (!fetch_lock.try_lock_for(std::chrono::milliseconds(20))) {
    if (control.requested())
      return FetchRefusal(absl::CancelledError("ended while another unit fetched the package"));
  }
  absl::StatusOr<Package> package = TakeInstalled(unit, config);
  if (absl::IsNotFound(package.status())) {
    if (!config.auto_fetch) {
      return Refusal{RefusalKind::kExecutorRefused,
                     Cat("no provisioned executor for manifest ", sha.str(),
                         " and provisioning.auto_fetch is off")};
    }
    package = FetchAndInstall(unit, config, control);
  }
  if (!package.ok()) return FetchRefusal(package.status());
  return *std::move(package);
}

std::variant<Package, Refusal> PackageStore::TakeStaged(UniqueFd folder, const std::string& name,
                                                        const Unit& unit, const Config& config) {
  absl::StatusOr<Manifest> manifest = Verify(folder.get(), name, unit.manifest_sha256, false);
  absl::Status status = manifest.status();
  if (status.ok()) status = CheckTenantKey(unit, config, ReadSignature(folder.get()));
  if (status.ok() && !manifest->package_sha256 &&
      config.tenant_keys.contains(unit.tenant_id.str())) {
    status = absl::UnauthenticatedError(
        "the manifest has no executor.package_sha256, so that its signature does not cover the "
        "files");
  }
  if (status.ok()) return Package{std::move(folder), *std::move(manifest)};
  return Refusal{RefusalKind::kExecutorRefused,
                 Cat("staged package: ", std::string(status.message()))};
}

absl::StatusOr<Package> PackageStore::TakeInstalled(const Unit& unit, const Config& config) {
  const Sha256Hex& sha = unit.manifest_sha256;
  ASSIGN_OR_RETURN(UniqueFd folder, shelf_->Take(sha));
  absl::StatusOr<Manifest> manifest = Verify(folder.get(), shelf_->PathOf(sha), sha, true);
  if (!manifest.ok()) {
    // Only a fault of this host can have changed a sealed package (a crash before it was on disk, a
    // hand): it goes, and is fetched again.
    LogWarning("package_damaged",
               {{"manifest", sha.str()}, {"why", std::string(manifest.status().message())}});
    folder.Reset();
    if (absl::StatusOr<PackageShelf::Entry> gone = shelf_->Remove(sha, "damaged"); !gone.ok())
      return absl::UnavailableError(gone.status().message());
    return absl::NotFoundError("damaged");
  }
  RETURN_IF_ERROR(CheckTenantKey(unit, config, shelf_->Signature(sha)));
  return Package{std::move(folder), *std::move(manifest)};
}

absl::StatusOr<Package> PackageStore::FetchAndInstall(const Unit& unit, const Config& config,
                                                      RunControl& control) {
  const Sha256Hex& sha = unit.manifest_sha256;
  // Without a name, so that nothing of it can be left behind.
  UniqueFd archive(open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!archive) archive.Reset(memfd_create("auspex-archive", MFD_CLOEXEC));
  if (!archive) return ErrnoStatus(errno, "open", "archive spool");
  if (absl::Status got = source_.Fetch(sha, archive.get(), control); !got.ok())
    return absl::UnavailableError(got.message());
  lseek(archive.get(), 0, SEEK_SET);
  const std::string scratch = shelf_->NewScratch();
  absl::StatusOr<Package> package = Install(archive.get(), scratch, unit, config, control);
  if (package.ok()) {
    source_.Drop(sha);
    LogInfo("package_installed", {{"manifest", sha.str()}});
    return package;
  }
  (void)RemoveTree(scratch);
  // An archive that could not be unpacked here, or in time, is not a bad archive.
  if (!control.requested()) source_.Drop(sha);
  LogWarning("package_refused",
             {{"manifest", sha.str()}, {"why", std::string(package.status().message())}});
  return package;
}

absl::StatusOr<Package> PackageStore::Install(int archive_fd, const std::string& scratch,
                                              const Unit& unit, const Config& config,
                                              RunControl& control) {
  const Sha256Hex& sha = unit.manifest_sha256;
  RETURN_IF_ERROR(MakePrivateDirectory(scratch));
  ASSIGN_OR_RETURN(const UniqueFd made, OpenPackage(scratch));
  RETURN_IF_ERROR(UnpackInSandbox(archive_fd, made.get(), control));
  RETURN_IF_ERROR(Verify(made.get(), scratch, sha, true).status());
  const absl::StatusOr<std::string> signature = ReadSignature(made.get());
  RETURN_IF_ERROR(CheckTenantKey(unit, config, signature));
  ASSIGN_OR_RETURN(const uint64_t octets, SealPackage(made.get()));
  ASSIGN_OR_RETURN(UniqueFd folder, shelf_->Put(sha, scratch, octets, CapOctets(config),
                                                signature.ok() ? *signature : ""));
  // Once more in its place: fills the memory of what is verified, and is what every later unit
  // does.
  ASSIGN_OR_RETURN(Manifest manifest, Verify(folder.get(), shelf_->PathOf(sha), sha, true));
  return Package{std::move(folder), std::move(manifest)};
}

absl::Status PackageStore::UnpackInSandbox(int archive_fd, int scratch_fd, RunControl& control) {
  SandboxSpec spec;
  spec.command = {unit_init::kUnpackPath};
  spec.unit_octets = 0;
  spec.shm_octets = 0;
  spec.system_files = false;
  spec.unpacker = true;
  const UnpackLimits limits;
  FolderWriter writer(scratch_fd, limits);
  UnpackStream stream(writer, limits);
  RunRequest request;
  RETURN_IF_ERROR(PutIntoSandbox(host_, spec, request));
  request.limits.memory_octets = kUnpackMemoryOctets;
  request.limits.swap_octets = 0;
  request.limits.processes = kUnpackProcesses;
  request.input_fd = archive_fd;
  request.wall_seconds = kUnpackSeconds;
  request.take_report = [&stream](std::string_view piece) { return stream.Take(piece); };
  ASSIGN_OR_RETURN(const RunOutcome outcome, RunProcessTree(request, control));
  const UnpackResult result = stream.result();
  if (outcome.end != RunOutcome::End::kNotTaken) {
    if (outcome.end != RunOutcome::End::kByItself)
      return absl::UnavailableError("unpacking the archive was cut short");
    if (!outcome.exited || outcome.exit_status != 0 ||
        result.why.empty() != (result.outcome == UnpackResult::Outcome::kOk)) {
      return absl::UnavailableError(
          Cat("auspex-unpack failed: ", Printable(outcome.stderr_tail, 300)));
    }
  }
  switch (result.outcome) {
    case UnpackResult::Outcome::kOk:
      return absl::OkStatus();
    case UnpackResult::Outcome::kUnsafe:
      return absl::InvalidArgumentError(Cat("archive: ", result.why));
    default:
      return absl::UnavailableError(Cat("archive: ", result.why));
  }
}

size_t PackageStore::RememberedOctets() const {
  std::lock_guard lock(mutex_);
  return remembered_octets_;
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
