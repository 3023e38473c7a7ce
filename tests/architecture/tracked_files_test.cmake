# cmake -DSOURCE_DIR=... -P: sizes and texts of what git tracks.
#   - all together under 46 MiB: a clone stays quick
#   - no absolute path of a developer's machine and no host name of a package registry: sources build anywhere
if(NOT EXISTS ${SOURCE_DIR}/.git)
    message(STATUS "skipped: this is not a git checkout")
    return()
endif()
execute_process(COMMAND git -C ${SOURCE_DIR} -c core.quotepath=off -c safe.directory=* ls-files
    OUTPUT_VARIABLE listing RESULT_VARIABLE status ERROR_VARIABLE reason)
if(status)
    message(FATAL_ERROR "git ls-files failed: ${reason}")
endif()
string(REPLACE ";" "\\;" listing "${listing}")
string(REGEX REPLACE "\n$" "" listing "${listing}")
string(REPLACE "\n" ";" files "${listing}")

set(limit 48234496) # 46 MiB
set(total 0)
set(largest "")
foreach(file IN LISTS files)
    if(EXISTS ${SOURCE_DIR}/${file} AND NOT IS_SYMLINK ${SOURCE_DIR}/${file})
        file(SIZE ${SOURCE_DIR}/${file} size)
        math(EXPR total "${total} + ${size}")
        if(size GREATER 1048576)
            string(APPEND largest "  ${size} ${file}\n")
        endif()
    endif()
endforeach()
list(LENGTH files count)
message(STATUS "${count} tracked files, ${total} bytes of ${limit}")
if(count LESS 20)
    message(FATAL_ERROR "Only ${count} tracked files were found; the listing must be wrong.")
endif()
if(total GREATER limit)
    message(FATAL_ERROR "Tracked files hold ${total} bytes; at most ${limit} are allowed. Above 1 MiB:\n${largest}")
endif()

# Written in halves, so that this file does not find itself. Licences are quoted as they are.
string(CONCAT hosts "py" "pi\\.org|python" "hosted|deb\\.deb" "ian\\.org|snapshot\\.deb" "ian|npm" "js\\.org")
string(CONCAT folders "/ro" "ot/|/wo" "rk/|/ho" "me/[a-z]+/\\.")
execute_process(
    COMMAND git -C ${SOURCE_DIR} -c safe.directory=* grep -nIE "(^|[^A-Za-z0-9_.~})-])(${folders})|${hosts}"
        -- . ":!packaging/licenses" ":!resources/fonts/LICENSE*" ":!resources/icons/LICENSE*"
    OUTPUT_VARIABLE found RESULT_VARIABLE status ERROR_VARIABLE reason)
if(status EQUAL 0)
    message(FATAL_ERROR "Tracked files name a machine's folders or a registry's host:\n${found}")
elseif(NOT status EQUAL 1)
    message(FATAL_ERROR "git grep failed: ${reason}")
endif()
