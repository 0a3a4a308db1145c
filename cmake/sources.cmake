# llmproc_sources(<out> <folder> <file>...): the sources of one folder, as listed.
function(llmproc_sources out folder)
    list(TRANSFORM ARGN PREPEND "${folder}/")
    set(${out} "${ARGN}" PARENT_SCOPE)
endfunction()
