#include "sum.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <new>
#include <stdexcept>

namespace demo {
namespace {

constexpr std::size_t piece_bytes = std::size_t{256} << 10;

struct Descriptor {
    int number;
    ~Descriptor() {
        if (number >= 0)
            ::close(number);
    }
};

FileSum without(FileSum::State state, int error = 0) {
    FileSum sum;
    sum.state = state;
    sum.error = error;
    return sum;
}

void check(int openssl_says) {
    if (openssl_says != 1)
        throw std::runtime_error("OpenSSL cannot compute SHA-256 here");
}

} // namespace

FileSum sum_file(const std::string& path, const std::function<void(std::size_t)>& tell) {
    // O_NONBLOCK: a named pipe must not keep us waiting for a writer.
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
    struct stat about {};
    if (file.number < 0 || ::fstat(file.number, &about) != 0)
        return without(FileSum::State::unreadable, errno);
    if (!S_ISREG(about.st_mode))
        return without(FileSum::State::not_regular);
    // A hint, which may be refused.
    static_cast<void>(::posix_fadvise(file.number, 0, 0, POSIX_FADV_SEQUENTIAL));

    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                     &EVP_MD_CTX_free);
    if (context == nullptr)
        throw std::bad_alloc();
    check(EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr));
    // Not zeroed first, which would take as long as summing a small file does.
    const std::unique_ptr<char[]> piece(new char[piece_bytes]);
    while (true) {
        const ssize_t got = ::read(file.number, piece.get(), piece_bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return without(FileSum::State::unreadable, errno);
        if (got == 0)
            break;
        const auto size = static_cast<std::size_t>(got);
        check(EVP_DigestUpdate(context.get(), piece.get(), size));
        tell(size);
    }
    FileSum sum;
    check(EVP_DigestFinal_ex(context.get(), sum.digest.data(), nullptr));
    return sum;
}

std::string line_of(const FileSum& sum, const std::string& path) {
    std::string line;
    const bool escaped = path.find_first_of("\\\n\r") != std::string::npos;
    if (escaped)
        line += '\\';
    for (const std::uint8_t byte : sum.digest)
        line += fmt::format("{:02x}", byte);
    line += "  ";
    if (!escaped)
        line += path;
    else
        for (const char c : path)
            line += c == '\\'   ? std::string("\\\\")
                    : c == '\n' ? std::string("\\n")
                    : c == '\r' ? std::string("\\r")
                                : std::string(1, c);
    return line += '\n';
}

} // namespace demo
