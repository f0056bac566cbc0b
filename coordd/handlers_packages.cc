// SPDX-License-Identifier: AGPL-3.0-only
#include <algorithm>
#include <charconv>

#include "common/archive/archive.h"
#include "common/base/cat.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "coordd/handlers.h"
#include "coordd/package_store.h"
#include "coordd/reply.h"

namespace auspex::coordd {
namespace {

Reply Gzip(std::string archive) {
  Reply reply;
  reply.content_type = "application/gzip";
  reply.body = std::move(archive);
  return reply;
}

Reply PackageNotFound() {
  return Error(404, "package_not_found", "no package for this manifest or digest");
}

}  // namespace

Reply HandleUploadPackage(Services& services, const Context& context) {
  const Request& request = context.request;
  if (request.body.size() > kMaxPackageOctets) {
    return Error(413, "package_too_large",
                 Cat("a package may have at most ", kMaxPackageOctets, " octets"));
  }
  const std::string type = request.Header("content-type").value_or("");
  if (type != "application/gzip" && type != "application/x-gzip") {
    return Error(415, "unsupported_media_type", "a package is application/gzip");
  }
  const auto claimed = Sha256Hex::Parse(request.Header("x-package-digest").value_or(""));
  if (!claimed.ok()) {
    return Error(422, "invalid_package_digest_header", "X-Package-Digest must be 64 hex digits");
  }
  const auto digest = DigestOfArchive(request.body);
  if (!digest.ok()) return PackageRefusal(digest.status());
  if (*digest != *claimed) {
    return Error(422, "digest_mismatch", "the package's digest is another than claimed",
                 {{"claimed", claimed->str()}, {"computed", digest->str()}});
  }
  const bool is_new = StorePackage(services.db, *digest, request.body, context.now);
  return Ok(JsonObject{{"digest", digest->str()},
                       {"size_bytes", request.body.size()},
                       {"status", is_new ? "stored" : "already_exists"}},
            is_new ? 201 : 200);
}

Reply HandlePackageByDigest(Services& services, const Context& context) {
  Rows rows = services.db.Query("SELECT archive FROM packages WHERE digest = ?",
                                context.PathId<Sha256Hex>(0));
  if (!rows.Next()) return PackageNotFound();
  return Gzip(rows.Text(0));
}

Reply HandlePackageByManifest(Services& services, const Context& context) {
  const auto manifest_sha256 = context.PathId<Sha256Hex>(0);
  if (const auto cached = services.packages.Find(manifest_sha256.str())) return Gzip(*cached);
  std::string archive, manifest;
  std::optional<std::string> signature;
  {
    Rows rows = services.db.Query(
        "SELECT p.archive, e.manifest, e.signature FROM experiments e"
        " JOIN packages p ON p.digest = e.package_digest WHERE e.manifest_sha256 = ?",
        manifest_sha256);
    if (!rows.Next()) return PackageNotFound();
    archive = rows.Text(0);
    manifest = rows.Text(1);
    signature = rows.MaybeText(2);
  }
  auto members = ReadTarGz(archive, PackageLimits());
  if (!members.ok()) return PackageRefusal(members.status());
  // Members of these names that the upload held would shadow or be shadowed: only ours go out.
  std::erase_if(*members, [](const ArchiveMember& member) {
    return member.path == "manifest.json" || member.path == "manifest.json.sig";
  });
  members->push_back({.path = "manifest.json", .content = manifest});
  members->push_back({.path = "manifest.json.sig", .content = signature.value_or("{}")});
  auto whole = WriteTarGz(*members);
  if (!whole.ok()) return InternalError();
  const auto shared = std::make_shared<const std::string>(*std::move(whole));
  services.packages.Put(manifest_sha256.str(), shared);
  return Gzip(*shared);
}

}  // namespace auspex::coordd
