#include "model/backup_facts.h"

namespace tidemark::model {

std::vector<std::string> missing_configuration(const std::vector<CapturedFile>& captured)
{
    std::vector<std::string> out;
    for (const auto& file : captured)
        if (!file.content && file.role != "tls") out.push_back(file.path);
    return out;
}

std::vector<std::string> missing_essentials(const std::vector<CapturedFile>& captured)
{
    std::vector<std::string> out;
    for (const auto& file : captured)
        if (!file.content && (file.role == "config" || file.role == "hba"))
            out.push_back(file.path);
    return out;
}

} // namespace tidemark::model
