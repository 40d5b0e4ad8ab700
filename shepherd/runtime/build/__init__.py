"""From a Containerfile to an image, in steps that are kept by their content.

lines, words, instructions, containerfile    the text: lines, words with variables, instructions, stages
matching, ignore, sources                    which files of a context, a stage or an image are meant
copying, archives, download                  files into a root, by descriptor
chain, cache, workspace                      layers upon layers; what was made before; where it is made
running, mounting, cable                     a step's program, in the isolation of a container
settings                                     what the image says of its containers
stages, builder                              all of it in order
"""
