# RapiDoc by the lockfile into FOLDER (package.json and its lock are read beside this file).
file(COPY ${CMAKE_CURRENT_LIST_DIR}/package.json ${CMAKE_CURRENT_LIST_DIR}/package-lock.json
  DESTINATION ${FOLDER})
execute_process(
  COMMAND npm ci --ignore-scripts --omit=dev --prefer-offline --no-audit --no-fund
  WORKING_DIRECTORY ${FOLDER} RESULT_VARIABLE result OUTPUT_VARIABLE said ERROR_VARIABLE said)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${said}\nRapiDoc, which /docs is made of, did not come by npm. "
    "Without npm: cmake -DDUCK_DOCS=OFF (./duck with DUCK_DOCS=OFF) builds a gateway that has no /docs.")
endif()
file(TOUCH ${FOLDER}/node_modules/rapidoc/dist/rapidoc-min.js) # newer than the lockfile
