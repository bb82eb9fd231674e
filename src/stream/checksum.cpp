#include "stream/checksum.h"

#include "base/error.h"

#include <algorithm>
#include <openssl/evp.h>
#include <xxhash.h>

namespace tidemark::stream {

namespace {

void require_openssl(int done, const char* what)
{
    if (done != 1)
        throw base::Error{base::Code::failed, std::string("OpenSSL: ") + what + " failed"};
}

} // namespace

std::uint64_t xxh3_64(base::ByteView bytes)
{
    return XXH3_64bits(bytes.data(), bytes.size());
}

void Sha256::Free::operator()(evp_md_ctx_st* context) const
{
    EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new())
{
    require_openssl(context_ ? 1 : 0, "EVP_MD_CTX_new");
    require_openssl(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr), "SHA-256");
}

void Sha256::update(base::ByteView bytes)
{
    require_openssl(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()), "SHA-256");
}

Sha256Digest Sha256::digest() const
{
    std::unique_ptr<evp_md_ctx_st, Free> copy(EVP_MD_CTX_new());
    require_openssl(copy ? EVP_MD_CTX_copy_ex(copy.get(), context_.get()) : 0,
                    "EVP_MD_CTX_copy_ex");
    Sha256Digest out;
    require_openssl(
        EVP_DigestFinal_ex(copy.get(), reinterpret_cast<unsigned char*>(out.data()), nullptr),
        "SHA-256");
    return out;
}

Sha256Digest sha256(base::ByteView bytes)
{
    Sha256Digest out;
    require_openssl(EVP_Digest(bytes.data(), bytes.size(),
                               reinterpret_cast<unsigned char*>(out.data()), nullptr, EVP_sha256(),
                               nullptr),
                    "SHA-256");
    return out;
}

Sha16 sha16(base::ByteView bytes)
{
    return truncated(sha256(bytes));
}

Sha16 truncated(const Sha256Digest& digest)
{
    Sha16 out;
    std::copy_n(digest.begin(), out.size(), out.begin());
    return out;
}

} // namespace tidemark::stream
